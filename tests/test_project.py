"""The files around the package agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mqttsec import __version__
from mqttsec.cli import COMMANDS
from tools.pin import HEADER, merge

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [Requirement(line) for line in [*PROJECT["dependencies"], *extras["labs"], *extras["test"]]]


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is not a git checkout: which files belong to the project is not known")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == __version__


def test_environment_yml_is_in_step_with_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    *conda, pip = environment["dependencies"]
    python = next(line.removeprefix("python").strip() for line in conda if line.startswith("python"))
    assert SpecifierSet(python) == SpecifierSet(PROJECT["requires-python"])
    assert "pip" in conda
    assert pip == {"pip": ["-c constraints.txt", "-e .[labs,test]"]}
    installed = {requirement.name for requirement in requirements()}
    for extra, lines in PROJECT["optional-dependencies"].items():
        if extra == "lite":
            # In an environment of its own: its kernel would be loaded into every page of JupyterLab.
            continue
        named = {Requirement(line).name for line in lines}
        assert named <= installed, f"extra {extra} is not in labs or test"


def texts() -> dict[str, str]:
    """Everything that tells somebody what to install: pages, set-up, and the messages of the package."""
    folders = [("docs", "*.md"), ("mqttsec", "*.py"), ("labs/source", "*.py"), ("tools", "*")]
    single = ["README.md", "CONTRIBUTING.md", "Makefile", "environment.yml", "constraints.txt"]
    paths = [ROOT / name for name in single]
    for folder, pattern in folders:
        paths += [path for path in sorted((ROOT / folder).rglob(pattern)) if path.suffix != ".pyc"]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def test_every_extra_that_a_text_or_a_message_names_exists() -> None:
    named = {
        (name, extra)
        for name, text in texts().items()
        for extras in re.findall(r"(?:mqttsec|\.whl|['\" ]\.)\[([a-z]+(?:,[a-z]+)*)\]", text)
        for extra in extras.split(",")
    }
    assert {"README.md", "environment.yml", "docs/how_to/class.md"} <= {name for name, _ in named}
    assert [pair for pair in sorted(named) if pair[1] not in PROJECT["optional-dependencies"]] == []


def test_every_text_names_the_same_pythons_and_the_same_wheel() -> None:
    pythons, wheels = set(), set()
    for text in texts().values():
        pythons |= set(re.findall(r"Python (?:from )?\(?(3\.\d+)(?: to |-)(3\.\d+)", text))
        wheels |= set(re.findall(r"mqttsec-[\w.]+-py3-none-any\.whl", text))
    assert pythons == {(PYTHONS[0], PYTHONS[-1])}
    assert wheels == {f"mqttsec-{__version__}-py3-none-any.whl"}


def test_conda_is_told_the_same_in_the_file_and_in_the_readme() -> None:
    told = (ROOT / "environment.yml").read_text()
    name = yaml.safe_load(told)["name"]
    for text in (told, (ROOT / "README.md").read_text()):
        assert "conda env create -f environment.yml" in text
        assert f"conda activate {name}" in text


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_every_requirement_once_per_python(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    chosen: dict[str, str] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(environment):
            assert pin.name not in chosen, f"two versions of {pin.name} for Python {python}"
            chosen[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    for wanted in requirements():
        if wanted.marker is None or wanted.marker.evaluate(environment):
            version = chosen[canonicalize_name(wanted.name)]
            assert wanted.specifier.contains(version, prereleases=True), f"{wanted} but {version} is pinned"


def test_constraints_name_versions_only() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert text.startswith(HEADER)
    assert "://" not in text and "--" not in text
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") for pin in pins())


def test_merging_marks_only_what_differs() -> None:
    answers = {
        "3.10": {"same": "1", "other": "1", "old": "9"},
        "3.9": {"same": "1", "other": "1"},
        "3.13": {"same": "1", "other": "2"},
    }
    assert merge(answers) == HEADER + (
        "old==9\n"
        'other==1 ; python_version == "3.9" or python_version == "3.10"\n'
        'other==2 ; python_version == "3.13"\n'
        "same==1\n"
    )


def test_the_classifiers_name_the_pythons() -> None:
    named = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert tuple(named) == PYTHONS
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0") for python in named)


# Spelt in pieces, or this file would name them.
INDEX_HOSTS = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "deb." + "debian.org"]


def test_no_file_names_a_package_index() -> None:
    naming = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if any(host.encode() in path.read_bytes() for host in INDEX_HOSTS)
    ]
    assert naming == []


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    )
    return done.stdout


def test_every_target_in_the_texts_exists() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
    assert {"labs", "test", "notebooks"} <= named
    for target in sorted(named):
        make(target)


def test_every_command_in_the_readme_exists_and_the_other_way_round() -> None:
    named = set(re.findall(r"`mqttsec ((?:[a-z]+ ?)+)", (ROOT / "README.md").read_text()))
    known = {command.words for command in COMMANDS}
    assert known == {next(words for words in known if name.startswith(words)) for name in named}


def test_ci_runs_what_a_contributor_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in script if line.startswith("exec")] == ["exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_parts_of_the_makefile_leave_no_test_out() -> None:
    recipes = (ROOT / "Makefile").read_text()
    chosen = re.findall(r'-m "?([a-z ]+)"? tests$', recipes, re.MULTILINE)
    assert sorted(chosen) == [
        "browser", "interop and not browser", "lite", "not interop and not browser and not lite",
    ]


def test_setup_names_what_is_wrong_with_a_python(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["sh", "tools/setup_venv.sh", str(tmp_path / "venv")], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHON": str(old)}, check=False,
    )
    assert done.returncode == 1
    assert f"PYTHON={old} is not a Python from 3.10 to 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_says_plainly_that_there_is_no_python(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "tools/setup_venv.sh", str(tmp_path / "venv")], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": str(tmp_path)}, check=False,
    )
    assert done.returncode == 1
    assert "a Python from 3.10 to 3.13 is needed, but here is no python3 at all." in done.stderr
    assert "not found" not in done.stderr


def test_setup_says_how_to_get_venv_where_python_comes_without_it(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    done = subprocess.run(
        # A PATH without apt-get: nothing can be installed.
        ["/bin/sh", "tools/setup_venv.sh", str(tmp_path / "venv")], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": str(tmp_path)}, check=False,
    )
    assert done.returncode == 1
    assert "python3 has no 'venv' and 'ensurepip'" in done.stderr
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_missing_programs_are_loud_and_a_failure_in_ci(tmp_path: Path, ci: str, status: int) -> None:
    done = subprocess.run(
        # A PATH on which nothing is found; the script adds the folders of daemons itself.
        ["/bin/sh", "-c", f"command() {{ return 1; }}; . {ROOT}/tools/install_peers.sh"],
        capture_output=True, text=True, env={"PATH": str(tmp_path), "CI": ci}, check=False,
    )
    assert done.returncode == status
    assert "MISSING: mosquitto mosquitto-clients tshark chromium" in done.stderr
    assert "SKIPPED" in done.stderr
