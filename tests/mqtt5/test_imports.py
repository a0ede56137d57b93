"""What importing the broker costs, and that it says nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_broker_is_imported_without_a_warning() -> None:
    done = run("-W", "error", "-c", "import mqttsec.mqtt5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == done.stdout == ""


def test_a_broker_runs_without_a_warning() -> None:
    program = """
import asyncio, gc
from mqttsec.mqtt5 import Broker
async def main():
    broker = Broker()
    await broker.start()
    reader, writer = await asyncio.open_connection(*broker.bound["default"])
    writer.write(bytes.fromhex("100e 0004 4d515454 05 02 003c 00 0001 61"))
    assert (await reader.readexactly(4))[0] == 0x20
    await broker.shutdown()
    writer.close()
asyncio.run(main(), debug=False)
gc.collect()
"""
    done = run("-W", "error", "-X", "dev", "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stderr == done.stdout == ""


def test_the_broker_is_imported_quickly() -> None:
    # Best of three: a busy machine says nothing about the import.
    program = (
        "import time; begun = time.perf_counter(); import mqttsec.mqtt5; print(time.perf_counter() - begun)"
    )
    took = min(float(run("-c", program).stdout) for _ in range(3))
    assert took < 1.0, f"{took:.2f} s"


@pytest.mark.parametrize("module", ["numpy", "pandas", "IPython", "ipywidgets", "plotly", "pytest"])
def test_the_broker_needs_nothing_of_the_notebooks(module: str) -> None:
    done = run("-c", f"import sys, mqttsec.mqtt5; assert {module!r} not in sys.modules")
    assert done.returncode == 0, done.stderr
