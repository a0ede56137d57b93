"""A wheel built from the tree, installed in an empty environment, used in an empty folder.

Nothing is fetched: the build backend is an extra of the tests, and what mqttsec depends on is lent by the
environment of the tests, whose own mqttsec stays out of sight.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest

from mqttsec import __version__
from tests.test_lab_server import free_port, read_when_up

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {
    str(path.relative_to(ROOT / "labs"))
    for path in [*(ROOT / "labs").glob("*.ipynb"), *(ROOT / "labs" / "teacher").glob("*.ipynb")]
}

pytestmark = pytest.mark.slow


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip("--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    site = next((folder / "lib").glob("python*/site-packages"))
    # A folder named in a .pth file is searched last, and the .pth files in it are not read: the packages of
    # the tests' environment are there, its link to this checkout is not.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    return tmp_path


def surroundings() -> dict[str, str]:
    """Environment variables by which JupyterLab finds its pages, which are not in the new environment."""
    lent = Path(sys.prefix)
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "JUPYTERLAB_DIR": str(lent / "share" / "jupyter" / "lab"),
        "JUPYTER_PATH": str(lent / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(lent / "etc" / "jupyter"),
    }


def run(environment: Path, here: Path, *command: str) -> str:
    done = subprocess.run(
        [str(environment / "bin" / command[0]), *command[1:]],
        cwd=here, env=surroundings(), capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_the_notebooks_the_types_and_the_settings_of_jupyterlab(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"mqttsec/py.typed", "mqttsec/jupyter/labconfig/page_config.json"} <= names
    brought = {name.removeprefix("mqttsec/_labs/") for name in names if name.startswith("mqttsec/_labs/")}
    assert brought == NOTEBOOKS | {"LICENSE"}
    assert not any(name.startswith(("tests/", "tools/", "labs/")) for name in names)


def test_it_is_the_installed_package_that_runs(environment: Path, here: Path) -> None:
    told = run(environment, here, "python", "-c", "import mqttsec; print(mqttsec.__file__)")
    assert Path(told.strip()).is_relative_to(environment)
    assert run(environment, here, "mqttsec", "--version").split()[-1] == __version__


def test_the_demonstration_runs_with_the_data_that_came_along(environment: Path, here: Path) -> None:
    told = json.loads(run(environment, here, "mqttsec", "demo", "--json", "--days", "3"))
    assert told["days"] == 3
    assert all(reader["messages"] == reader["expected"] > 0 for reader in told["received"])


def test_a_lab_runs(environment: Path, here: Path) -> None:
    program = "from mqttsec import labs; print(labs.FourSchemes(seed=7).costs(n=3))"
    assert "2H" in run(environment, here, "python", "-c", program)


def test_the_labs_come_along_and_jupyterlab_opens_them(environment: Path, here: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [str(environment / "bin" / "mqttsec"), "labs", "--no-browser", "--port", str(port)],
        cwd=here, env={**surroundings(), "HOME": str(here)},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        printed = "".join(process.stdout.readline() for _ in range(3))
        url = re.search(r"http://\S+", printed)[0]
        address, token = url.split("?token=")
        assert address == f"http://127.0.0.1:{port}/lab/tree/01_mqtt_and_the_curious_broker.ipynb"
        assert "jupyter-config-data" in read_when_up(url, process)
        copied = here / "mqttsec-labs"
        assert {str(path.relative_to(copied)) for path in copied.rglob("*.ipynb")} == NOTEBOOKS
        contents = f"http://127.0.0.1:{port}/api/contents?token={token}"
        with urllib.request.urlopen(contents, timeout=30) as answer:
            listed = {entry["path"] for entry in json.load(answer)["content"]}
        assert {name for name in NOTEBOOKS if "/" not in name} <= listed
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
