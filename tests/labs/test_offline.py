"""The lab of `make lite`: what it shows, and that a browser without threads, sockets, numpy can run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mqttsec.anonymity.crowd import Crowd
from mqttsec.anonymity.predecessor import named
from mqttsec.errors import ConfigurationError
from mqttsec.labs.offline import Offline, recorded
from mqttsec.trace import arrows, packet_name

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "labs" / "lite.ipynb"

GUARD = """
import importlib.abc, socket, sys, threading

class NotInABrowser(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {"numpy", "pandas", "cryptography", "amqtt", "paho", "psutil"}:
            raise ImportError(f"{name} is not there in a browser")

def refuse(*_, **__):
    raise RuntimeError("there are no threads and no sockets in a browser")

import plotly.graph_objects, ipywidgets, anywidget
for name in [name for name in sys.modules if name.split(".")[0] in {"numpy", "pandas"}]:
    del sys.modules[name]
sys.meta_path.insert(0, NotInABrowser())
threading.Thread.start = refuse
socket.socket.__init__ = refuse
"""


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_notebook_needs_no_thread_no_socket_and_no_numpy() -> None:
    loaded = "import sys; print(sorted(name for name in sys.modules if name.startswith('mqttsec.')))"
    done = run("\n".join([GUARD, *cells(), loaded]))
    assert done.returncode == 0, done.stderr
    rooms = {name.split(".")[1] for name in eval(done.stdout.splitlines()[-1])}
    allowed = {"anonymity", "check", "errors", "labs", "on_demand", "packets", "plots", "trace", "widgets"}
    assert rooms <= allowed


@pytest.mark.parametrize("line", ["import numpy", "import threading; threading.Thread(target=print).start()",
                                  "import socket; socket.socket()", "import mqttsec.mqtt5"])
def test_the_guard_stops_what_a_browser_has_not(line: str) -> None:
    assert run(GUARD + line).returncode != 0


def test_the_recording_is_a_whole_handshake() -> None:
    names = [packet_name(arrow.frame) for arrow in arrows(recorded("handshake"))]
    assert names[:1] == ["CONNECT"] and {"AUTH", "PUBLISH", "CONNACK"} <= set(names)
    with pytest.raises(ConfigurationError, match="no recorded trace"):
        recorded("nothing")


def test_theory_is_the_theory_of_the_other_labs() -> None:
    lab = Offline(seed=7)
    assert f"{named(Crowd(20, 4, 0.67), 20):.3f}" in repr(lab.named())
    assert "Not possible" in repr(lab._possible(n=5, c=9, p_f=0.5, messages=1, lifetime=1))
    explorer = lab.explore()
    before = explorer.html
    explorer.sliders["messages"].value = 20
    assert explorer.html != before
