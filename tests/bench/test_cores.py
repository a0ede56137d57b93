"""Cores that are kept awake: by whom, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from mqttsec.measure.cores import Placement, awake, place

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_IDLE") or not place().apart, reason="Linux with two cores has what this needs"
)

HOLDER = """
import sys, time
from mqttsec.measure.cores import awake, place
with awake(place()):
    print("awake", flush=True)
    time.sleep(120)
"""


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


def test_keepers_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "awake\n"
        keepers = psutil.Process(holder.pid).children()
        assert len(keepers) == 2
        holder.kill()
    _, alive = psutil.wait_procs(keepers, timeout=60)
    assert not alive
