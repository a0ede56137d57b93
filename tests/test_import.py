"""`import mqttsec` is quick and quiet, and its public names are there."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap

import pytest

import mqttsec

PROBE = textwrap.dedent(
    """
    import json, socket, sys, threading, time

    def forbidden(*arguments, **named):
        raise AssertionError("import mqttsec opens a socket")

    socket.socket = forbidden
    before = set(sys.modules)
    start = time.perf_counter()
    import mqttsec
    seconds = time.perf_counter() - start
    print(json.dumps({
        "seconds": seconds,
        "threads": [thread.name for thread in threading.enumerate()],
        "modules": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    }))
    """
)


def probe() -> dict:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_import_is_quick() -> None:
    # The best of three: a busy machine may make one slow, slow code makes all three slow.
    assert min(probe()["seconds"] for _ in range(3)) < 0.5


def test_import_starts_no_thread_and_loads_nothing_heavy() -> None:
    found = probe()
    assert found["threads"] == ["MainThread"]
    heavy = {"amqtt", "paho", "cryptography", "asyncio", "numpy", "pandas", "plotly", "ipywidgets", "IPython"}
    assert not heavy & set(found["modules"])


def public_names() -> list[str]:
    return [name for name in mqttsec.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", public_names())
def test_each_public_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(mqttsec, name) is not None
    assert name in dir(mqttsec)


def test_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    tree = ast.parse(inspect.getsource(mqttsec))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    run_time = {name: f"{room}.{name}" for name, room in mqttsec._HOME.items()}
    run_time |= {room: f"mqttsec.{room}" for room in mqttsec._ROOMS}
    assert typed == run_time


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Brocker'"):
        importlib.import_module("mqttsec").Brocker  # noqa: B018
