"""A client that subscribes to its own topic over several paths finds out what is done to its messages."""

from __future__ import annotations

import random

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta import Direction, Network, Policies
from mqttsec.mqtta.probe import Comparison, PathReport, self_check
from tests.mqtta.test_network import played


def test_what_came_is_told_apart() -> None:
    comparison = Comparison(2, random.Random(1))
    raw = [comparison.send(b"%d" % number) for number in range(4)]
    for each in raw:
        comparison.came(0, each)
    comparison.came(1, raw[0])
    comparison.came(1, raw[0])
    comparison.came(1, raw[1] + b"!")
    comparison.came(1, raw[2][:19] + b"\xff" + raw[2][20:])
    comparison.came(1, b"nonsense")
    clean, dirty = comparison.reports()
    assert clean.clean and not dirty.clean
    assert dirty == PathReport(1, dropped=(2, 3), changed=(1,), repeated=(0,), invented=2)
    with pytest.raises(ConfigurationError):
        Comparison(1)


@pytest.mark.parametrize("attack", ["none", "changes", "drops"])
def test_a_bridge_broker_on_one_of_the_paths_is_found_out(attack: str) -> None:
    async def play(net: Network) -> None:
        readers = [await net.client(f"r{number}", bridge=1) for number in range(4)]
        writer = await net.client("writer", bridge=2)
        for reader in readers:
            await net.subscribe(reader, "mine")
        paths = net.paths("subscribe")
        used = [{hop.bridge for hop in path.hops} - {"b1"} for path in paths]
        # The attacker is on the way back of some readers, not of all.
        attacker = next(name for name in sorted(set.union(*used)) if not all(name in each for each in used))

        def meddle(direction: Direction, topic: str, payload: bytes) -> bytes | None:
            if direction is Direction.PUBLISH or attack == "none":
                return payload
            return None if attack == "drops" else payload + b"!"

        net.bridge(attacker).meddle = meddle
        reports = await self_check(writer, readers, "mine", messages=6, rng=random.Random(1))
        for report, names in zip(reports, used, strict=True):
            suffers = attacker in names and attack != "none"
            assert report.clean is not suffers
            if suffers:
                assert (report.changed if attack == "changes" else report.dropped) == tuple(range(6))

    played(play, bridges=8, policies=Policies(p_f=0.6, variant="B"), rtt=0.05, seed=3)
