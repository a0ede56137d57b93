"""`mqttsec labs`: which port, which folder, which notebook; and a real JupyterLab that answers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mqttsec import lab_server
from mqttsec.errors import ConfigurationError


@pytest.fixture
def taken_port() -> int:
    with socket.socket() as server:
        server.bind((lab_server.HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((lab_server.HOST, 0))
        return probe.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("index.ipynb", "02_second.ipynb", "01_first.ipynb"):
        (tmp_path / name).write_text(json.dumps(empty))
    return tmp_path


def test_a_free_port_is_found_and_a_wanted_one_kept() -> None:
    assert lab_server.is_free(lab_server.choose_port(None))
    wanted = free_port()
    assert lab_server.choose_port(wanted) == wanted


def test_a_taken_port_says_what_to_do(taken_port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port {taken_port} is in use.*--port"):
        lab_server.choose_port(taken_port)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_an_impossible_port(port: int) -> None:
    with pytest.raises(ConfigurationError, match="no TCP port"):
        lab_server.choose_port(port)


def test_the_first_lab_is_opened_then_the_index(folder: Path) -> None:
    assert lab_server.first_notebook(folder) == "01_first.ipynb"
    for lab in folder.glob("0*.ipynb"):
        lab.unlink()
    assert lab_server.first_notebook(folder) == "index.ipynb"


def test_a_folder_without_notebooks_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no notebooks in .*--folder"):
        lab_server.labs_folder(str(tmp_path))


@pytest.fixture
def installed(folder: Path, tmp_path_factory: pytest.TempPathFactory,
              monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if a wheel were installed, and the current folder, which is returned, were empty."""
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    monkeypatch.setattr(lab_server, "__file__", str(here / "site" / "mqttsec" / "lab_server.py"))
    monkeypatch.setattr(lab_server, "BROUGHT_ALONG", folder)
    return here


def test_a_wheel_copies_its_notebooks_and_keeps_the_readers_work(installed: Path) -> None:
    found = lab_server.labs_folder()
    assert found == (installed / "mqttsec-labs").resolve()
    copied = sorted(path.name for path in found.iterdir())
    assert copied == ["01_first.ipynb", "02_second.ipynb", "index.ipynb"]
    (found / "01_first.ipynb").write_text("mine")
    (found / "02_second.ipynb").unlink()
    lab_server.labs_folder()
    assert (found / "01_first.ipynb").read_text() == "mine"
    assert (found / "02_second.ipynb").exists()


def test_a_folder_that_cannot_be_written_says_what_to_do(installed: Path) -> None:
    (installed / "mqttsec-labs").write_text("a file in the way")
    with pytest.raises(ConfigurationError, match="cannot be copied.*--folder"):
        lab_server.labs_folder()


def test_an_unknown_notebook_is_named(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no 09_none.ipynb"):
        lab_server.main(["--folder", str(folder), "--open", "09_none.ipynb"])


def test_the_token_is_neither_an_argument_nor_in_the_repr(folder: Path) -> None:
    server = lab_server.LabServer(folder, 8888)
    assert server.token in server.url
    assert not any(server.token in argument for argument in server.command())
    assert server.token not in repr(server)
    assert server.environment()["JUPYTER_TOKEN"] == server.token


@pytest.mark.slow
def test_labs_answers_on_its_port_with_the_first_lab_open(folder: Path) -> None:
    port = free_port()
    options = ["--no-browser", "--port", str(port), "--folder", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mqttsec", "labs", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        printed = "".join(process.stdout.readline() for _ in range(3))
        url = re.search(r"http://\S+", printed)[0]
        assert url.startswith(f"http://127.0.0.1:{port}/lab/tree/01_first.ipynb?token=")
        page = read_when_up(url, process)
        assert "jupyter-config-data" in page
        assert "announcements" in page, "the question about news must be off"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=10)
        assert refused.value.code == 403, "without the token nobody gets in"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def read_when_up(url: str, process: subprocess.Popen[str], seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.URLError as error:
            assert not isinstance(error, urllib.error.HTTPError), error
            assert process.poll() is None, "JupyterLab ended at once"
            assert time.monotonic() < deadline, "JupyterLab did not answer in time"
            time.sleep(0.1)
