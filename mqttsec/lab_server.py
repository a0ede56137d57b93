"""`mqttsec labs`: JupyterLab on the lab notebooks, on this machine only, offline.

The settings that matter in a class room: loopback only and a fresh token, no question about news
on the first start (it would want the Internet), the first lab open.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mqttsec.errors import ConfigurationError

HOST = "127.0.0.1"
FIRST_PORT = 8888
PORTS_TO_TRY = 100
BROUGHT_ALONG = Path(__file__).parent / "_labs"
"""The notebooks inside an installed wheel; nobody works in there, they are copied out."""
WORKING_FOLDER = "mqttsec-labs"
"""Where those copies go, below the current folder."""
CONFIG_FOLDER = Path(__file__).parent / "jupyter"
"""Holds `labconfig/page_config.json`, which turns JupyterLab's news and update questions off."""


@dataclass(frozen=True)
class LabServer:
    """One JupyterLab to be started: what, where, and with which key."""

    folder: Path
    """The folder that JupyterLab shows as its root."""
    port: int
    """TCP port on the loopback address."""
    notebook: str = ""
    """What is open at the start, relative to `folder`; empty for the launcher."""
    browser: bool = False
    """Whether JupyterLab opens a browser; without one on the machine it only says so."""
    options: tuple[str, ...] = ()
    """Further options for JupyterLab itself."""
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """The key in the address; whoever has it can run code as this user."""

    @property
    def path(self) -> str:
        return f"/lab/tree/{self.notebook}" if self.notebook else "/lab"

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return f"http://{HOST}:{self.port}{self.path}?token={self.token}"

    def command(self) -> list[str]:
        """The program and its arguments; the token is not among them, as `ps` shows arguments."""
        command = [
            sys.executable, "-m", "jupyterlab",
            f"--ServerApp.root_dir={self.folder}",
            f"--ServerApp.ip={HOST}",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--LabApp.default_url={self.path}",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        if not self.browser:
            command.append("--no-browser")
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # In a container the user is root; JupyterLab refuses that unless told.
            command.append("--allow-root")
        return [*command, *self.options]

    def environment(self) -> dict[str, str]:
        """The environment for `command()`."""
        config = os.pathsep.join(filter(None, [str(CONFIG_FOLDER), os.environ.get("JUPYTER_CONFIG_PATH")]))
        return {**os.environ, "JUPYTER_TOKEN": self.token, "JUPYTER_CONFIG_PATH": config}


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As the server does: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_port(wanted: int | None) -> int:
    """The wanted port, or the first free one from 8888.

    Raises `ConfigurationError` if the wanted port is taken or impossible.
    """
    if wanted is None:
        for port in range(FIRST_PORT, FIRST_PORT + PORTS_TO_TRY):
            if is_free(port):
                return port
        raise ConfigurationError(f"no port from {FIRST_PORT} to {FIRST_PORT + PORTS_TO_TRY - 1} is free")
    if not 0 < wanted < 65536:
        raise ConfigurationError(f"{wanted} is no TCP port: choose one from 1024 to 65535")
    if not is_free(wanted):
        raise ConfigurationError(
            f"port {wanted} is in use or needs more rights: choose another with --port, "
            "or leave --port out and a free one is found"
        )
    return wanted


def labs_folder(named: str | None = None) -> Path:
    """The folder with the notebooks: the named one, or `labs/` of this checkout or of the current folder.

    Without any of them (an installed wheel) the notebooks that came along are copied to `mqttsec-labs/`
    in the current folder; what is there already is the reader's work and stays.

    Raises `ConfigurationError` if there is none, or if they cannot be copied.
    """
    if named is not None:
        candidates = [Path(named)]
    else:
        candidates = [Path(__file__).resolve().parent.parent / "labs", Path.cwd() / "labs"]
    for candidate in candidates:
        if any(candidate.glob("*.ipynb")):
            return candidate.resolve()
    if named is None and BROUGHT_ALONG.is_dir():
        return _copied_out(Path.cwd() / WORKING_FOLDER)
    raise ConfigurationError(
        f"no notebooks in {candidates[0]}: run this in a checkout of mqttsec, "
        "or name the folder with --folder"
    )


def _copied_out(folder: Path) -> Path:
    """The folder with every notebook that came along in it, none overwritten."""
    try:
        for notebook in sorted(BROUGHT_ALONG.rglob("*.ipynb")):
            copy = folder / notebook.relative_to(BROUGHT_ALONG)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(notebook, copy)
    except OSError as error:
        raise ConfigurationError(
            f"the notebooks cannot be copied to {folder} ({error.strerror}): "
            "change to a folder of yours, or name one that has them with --folder"
        ) from error
    return folder.resolve()


def first_notebook(folder: Path) -> str:
    """The first lab in the folder, else the index, else whatever comes first."""
    names = sorted(notebook.name for notebook in folder.glob("*.ipynb"))
    labs = [name for name in names if name[0].isdigit()]
    return (labs or [name for name in names if name == "index.ipynb"] or names)[0]


def main(arguments: list[str]) -> int:
    """Become JupyterLab; returns only if that fails."""
    parser = argparse.ArgumentParser(prog="mqttsec labs", description="Open JupyterLab on the labs.")
    parser.add_argument("--port", type=int, help="the port to answer on (otherwise: a free one from 8888)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument("--folder", help="a folder with notebooks (otherwise: labs/ of this checkout, "
                        f"or {WORKING_FOLDER}/ here, filled from the package)")
    parser.add_argument("--open", metavar="NOTEBOOK", help="open this one (otherwise: the first lab)")
    parser.add_argument("options", nargs="*", help="after --: options for JupyterLab itself")
    given = parser.parse_args(arguments)

    if importlib.util.find_spec("jupyterlab") is None:
        raise ConfigurationError("JupyterLab is not installed: use make labs, or pip install 'mqttsec[labs]'")
    folder = labs_folder(given.folder)
    notebook = given.open or first_notebook(folder)
    if not (folder / notebook).is_file():
        raise ConfigurationError(f"there is no {notebook} in {folder}")
    server = LabServer(folder, choose_port(given.port), notebook, not given.no_browser, tuple(given.options))
    print(f"\n  The labs are at  {server.url}\n  Ctrl-C twice stops them.\n", flush=True)
    # Replacing this process hands JupyterLab the terminal and its signals.
    os.execve(sys.executable, server.command(), server.environment())
