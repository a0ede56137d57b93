"""100,000 damaged packets into one broker: nothing unexpected, nothing left behind, nobody else's loss.

MQTTSEC_FUZZ_SEED and MQTTSEC_FUZZ_INPUTS change the run; a failure prints what repeats it.
"""

from __future__ import annotations

import os

import pytest

from mqttsec.net import run_virtual
from tests.robustness.fuzzer import Fuzzer, Way

SEED = int(os.environ.get("MQTTSEC_FUZZ_SEED", "20261122"))
INPUTS = int(os.environ.get("MQTTSEC_FUZZ_INPUTS", "100000"))
CLIENT_PACKETS = ("CONNECT", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE",
                  "PINGREQ", "DISCONNECT", "AUTH")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("way", "share"), [(Way.PLAIN, 0.7), (Way.TRACED, 0.15), (Way.SLOW, 0.15)],
                         ids=lambda value: getattr(value, "name", None))
def test_damaged_packets(way: Way, share: float) -> None:
    inputs = round(INPUTS * share)
    tally = run_virtual(Fuzzer(SEED, inputs, way).run(), horizon=None)
    for kind in CLIENT_PACKETS:
        # Every packet type of a client was tried, and both outcomes came about.
        assert tally[kind] >= inputs // 500, f"only {tally[kind]} damaged {kind}: {tally}"
    assert tally["refused"] >= inputs // 3 and tally["well-formed all the same"] >= inputs // 4, tally
    assert tally["messages to bad clients"] > 0, tally


def test_a_run_can_be_repeated() -> None:
    first, second, other = (run_virtual(Fuzzer(seed, 2_000).run(), horizon=None) for seed in (5, 5, 6))
    assert first == second and first != other
