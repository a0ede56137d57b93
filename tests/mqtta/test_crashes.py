"""A bridge broker that is killed costs nothing that QoS promises; `mqttsec mqtta crashes` runs a thousand."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mqttsec.mqtta import Network, Policies, Reorderer, Sequencer
from mqttsec.mqtta.command import crash_rows, main
from mqttsec.mqtta.crashes import MESSAGES, THROUGH, CrashTrial, crash, crash_trial
from mqttsec.mqtta.marks import MESSAGE
from mqttsec.mqtta.policies import Strategy
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Publish
from tests.mqtta.test_network import played

HARD = {
    # The retained message came twice from sessions taken over (0); what is above a break took a session from
    # the path drawn anew (15, 51).
    Strategy.BLIND: (0, 15, 51),
    # Crashes at the meeting point of two paths, or below it: the later subscriber lost what was under way.
    Strategy.TOPIC_AWARE: (3, 5, 6, 12, 18),
    Strategy.TOPIC_AND_QOS_AWARE: (1, 3, 5, 7, 16),
}
"""Seeds that have cost something before."""


@pytest.mark.parametrize("strategy", Strategy)
def test_a_bridge_broker_that_crashes_anywhere_costs_nothing(strategy: Strategy) -> None:
    trial = CrashTrial(strategy, tuple(crash(strategy, seed) for seed in HARD[strategy]))
    assert trial.broken() == () and trial.lost(1) == trial.lost(2) == trial.doubled(2) == 0
    assert trial.expected(2) == len(HARD[strategy]) * 3 * 2 * MESSAGES
    # It would notice.
    first, second, *others = trial.crashes
    worse = (
        replace(first, lost=((1, "reader2", "open 1"),)),
        replace(second, doubled=((1, "reader2", "open 1"), (2, "reader1", "open 2"))),
    )
    noticed = replace(trial, crashes=(*worse, *others))
    assert noticed.broken() == (first.seed, second.seed) and not noticed.holds
    assert (noticed.broken(1), noticed.broken(2)) == ((first.seed,), (second.seed,))
    assert [row["verdict"] for row in crash_rows(noticed)] == ["BROKEN", "BROKEN"]
    only_at_qos_1 = replace(first, doubled=((1, "reader2", "open 1"),))
    assert replace(trial, crashes=(only_at_qos_1,)).holds


@pytest.mark.parametrize(
    ("strategy", "seeds"), [(Strategy.BLIND, (0, 5)), (Strategy.TOPIC_AND_QOS_AWARE, (8, 27))]
)
def test_before_a_public_broker_of_mqtt_3_1_1_only_what_is_published_twice_comes_twice(
    strategy: Strategy, seeds: tuple[int, ...]
) -> None:
    """Seeds 0 and 27: the retained message came again with each session taken over."""
    crashes = tuple(crash(strategy, seed, MQTT_3_1_1) for seed in seeds)
    trial = CrashTrial(strategy, crashes)
    assert trial.broken() == () and not any(each.lost for each in crashes)
    twice = {name for each in crashes for qos, _, name in each.doubled if qos == 2}
    assert twice and all(name.startswith(THROUGH) for name in twice)
    assert crash_rows(trial)[1]["verdict"].startswith("published twice")
    # Of the ordinary client's messages, which are published once, none may come twice.
    worse = replace(crashes[0], doubled=((2, "reader1", "open 2"),))
    assert CrashTrial(strategy, (worse,)).broken(2) == (seeds[0],)


@pytest.mark.parametrize("protocol", [MQTT_3_1_1, MQTT_5])
def test_a_message_published_twice_can_be_told_by_a_number_only(protocol: int) -> None:
    """The last bridge broker crashes after it has published some, before it could say so."""

    async def play(net: Network) -> None:
        public: list[Any] = []
        reader: list[Any] = []
        order = Reorderer()
        watcher = await net.client("watcher", bridge="public1", protocol=protocol, on_message=public.append)
        await watcher.subscribe("topic", qos=2)
        client = await net.client("reader", bridge=1, on_message=reader.append)
        await net.subscribe(client, "topic", 2)
        writer = await net.client("writer", bridge=2)
        used = {hop.bridge for path in net.paths("subscribe") for hop in path.hops} | {"b2"}
        victim = next(bridge.name for bridge in net.bridges if bridge.name not in used)
        stamp = Sequencer(random.Random(1)).stamp
        net.at(0.4, lambda: net.kill(victim))
        work = []
        for number in range(20):
            work.append(asyncio.ensure_future(net.publish(writer, "topic", stamp(b"%d" % number), 2)))
            await asyncio.sleep(0.02)
        await asyncio.gather(*work)
        await net.settled(5.0)
        # To an ordinary client of the public broker it is published twice whatever that speaks.
        twice = [payload for payload, count in Counter(m.payload for m in public).items() if count == 2]
        assert twice and len(public) == 20 + len(twice)
        first, second = (replace(m, packet_id=None) for m in public if m.payload == twice[0])
        number = [value for name, value in first.properties.user_property if name == MESSAGE]
        if protocol == MQTT_5:
            # By its number a bridge broker knows it again.
            assert first == second and len(number) == 1
            assert Counter(m.payload for m in reader) == Counter({m.payload: 1 for m in public})
        else:
            # Nothing is left that could tell it from an equal message: the subscriber gets it twice.
            assert first == second == Publish("topic", twice[0], 2) and not number
            assert Counter(m.payload for m in reader) == Counter(m.payload for m in public)
        handed_on = [each.payload for m in reader for each in order.take(m.payload)]
        assert handed_on == [b"%d" % number for number in range(20)]
        assert order.duplicates == (0 if protocol == MQTT_5 else len(twice))

    policies = Policies(p_f=0.6, variant="B")
    played(play, bridges=7, policies=policies, rtt=0.08, seed=1, protocol=protocol)


def test_the_same_seed_gives_the_same_crash(capsys: pytest.CaptureFixture[str]) -> None:
    [again] = crash_trial(Strategy.BLIND, 1, seed=7).crashes
    assert again == crash(Strategy.BLIND, 7) and again.seed == 7
    arguments = ["crashes", "--networks", "1", "--seed", "7", "--processes", "1", "--strategy", "blind"]
    assert main(arguments) == 0
    assert "as promised" in capsys.readouterr().out
