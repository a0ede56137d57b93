"""Cores that are kept awake: by whom, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mqttsec.measure import cores
from mqttsec.measure.cores import Placement, awake, place

# Not asked of `place`, which is what is tested: where it never kept anybody awake, nothing would be noticed.
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(psutil.Process().cpu_affinity()) < 2, reason="needs Linux and two cores"
)

HOLDER = """
import time
from dataclasses import replace
from mqttsec.measure.cores import awake, place
with awake(replace(place(), awake=True)):
    print("awake", flush=True)
    time.sleep(120)
"""


@pytest.fixture(autouse=True)
def on_a_machine_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_QUOTAS", ())
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)


def test_each_core_has_a_keeper_that_yields_to_everybody_and_is_gone_afterwards() -> None:
    before = set(psutil.Process().children())
    placement = place()
    with awake(placement):
        keepers = set(psutil.Process().children()) - before
        assert sorted(keeper.cpu_affinity() for keeper in keepers) == [[placement.broker], [placement.load]]
        assert {os.sched_getscheduler(keeper.pid) for keeper in keepers} == {os.SCHED_IDLE}
    assert not any(keeper.is_running() for keeper in keepers)


@pytest.mark.parametrize("placement", [place(may_sleep=True), Placement(None, None)])
def test_nobody_keeps_cores_that_may_sleep_or_are_shared(placement: Placement) -> None:
    before = psutil.Process().children()
    with awake(placement):
        assert psutil.Process().children() == before


@pytest.mark.parametrize(
    ("said", "kept"),
    [("max 100000\n", True), ("-1\n", True), ("150000 100000\n", False), ("", True), (None, True)],
)
def test_a_container_with_a_quota_keeps_nobody_awake(
    said: str | None, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = tmp_path / "cpu.max"
    if said is not None:
        quota.write_text(said)
    monkeypatch.setattr(cores, "_QUOTAS", (quota,))
    assert place().awake is kept


def test_nor_does_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert place().apart and not place().awake


def test_nor_a_system_without_that_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_PROBE", "raise OSError(38, 'Function not implemented')")
    cores._has_idle_class.cache_clear()
    try:
        assert place().apart and not place().awake
        assert "may fall asleep" in str(place())
    finally:
        cores._has_idle_class.cache_clear()


def test_keepers_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "awake\n"
        keepers = psutil.Process(holder.pid).children()
        assert len(keepers) == 2
        holder.kill()
    _, alive = psutil.wait_procs(keepers, timeout=60)
    assert not alive
