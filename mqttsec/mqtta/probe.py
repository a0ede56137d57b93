"""Does somebody on the way change, drop, repeat or invent messages? (Buccafurri, V and VII, active attacks)

A client subscribes to its own topic over several paths and compares what comes back with what it sent. One
path that differs betrays a bridge broker on it; if all differ alike, it was on the way of the publish, or the
public broker.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError, MqttsecError
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.sequence import Numbered, Sequencer, read_numbered
from mqttsec.mqtta.topics import forwarding
from mqttsec.packets import Publish


@dataclass(frozen=True)
class PathReport:
    """What came over one of the paths."""

    path: int
    """Which one, from 0."""
    dropped: tuple[int, ...]
    """Numbers that did not come."""
    changed: tuple[int, ...]
    """Numbers whose payload is not the one that was sent."""
    repeated: tuple[int, ...]
    """Numbers that came more than once."""
    invented: int
    """Messages that were never sent: another stream, a number that was not used, no number at all."""

    @property
    def clean(self) -> bool:
        """Whether all came, as it was sent, once."""
        return not (self.dropped or self.changed or self.repeated or self.invented)


class Comparison:
    """What was sent, and what came over each of `paths` paths. Pure."""

    def __init__(self, paths: int, rng: random.Random | None = None) -> None:
        if paths < 2:
            raise ConfigurationError(
                f"{paths} path cannot be compared with anything: subscribe over two or more"
            )
        self._sequencer = Sequencer(rng)
        self._sent: list[bytes] = []
        self._came: list[list[bytes]] = [[] for _ in range(paths)]

    def send(self, payload: bytes) -> bytes:
        """What to publish for a payload."""
        stamped = self._sequencer.stamp(payload)
        self._sent.append(payload)
        return stamped

    def came(self, path: int, payload: bytes) -> None:
        """Something came over a path."""
        self._came[path].append(payload)

    def reports(self) -> tuple[PathReport, ...]:
        """What is to be said of each path."""
        return tuple(self._report(path, came) for path, came in enumerate(self._came))

    def _report(self, path: int, came: list[bytes]) -> PathReport:
        counts: Counter[int] = Counter()
        changed: set[int] = set()
        invented = 0
        for raw in came:
            message = self._own(raw)
            if message is None:
                invented += 1
                continue
            counts[message.number] += 1
            if message.payload != self._sent[message.number]:
                changed.add(message.number)
        dropped = tuple(number for number in range(len(self._sent)) if not counts[number])
        repeated = tuple(sorted(number for number, count in counts.items() if count > 1))
        return PathReport(path, dropped, tuple(sorted(changed)), repeated, invented)

    def _own(self, raw: bytes) -> Numbered | None:
        try:
            message = read_numbered(raw)
        except MqttsecError:
            return None
        own = message.stream == self._sequencer.stream and message.number < len(self._sent)
        return message if own else None


async def self_check(
    writer: LightClient,
    readers: Sequence[LightClient],
    topic: str,
    messages: int = 10,
    wait: float = 5.0,
    rng: random.Random | None = None,
) -> tuple[PathReport, ...]:
    """Publish to one's own `topic` and compare what the `readers` get, each over a path of its own.

    `readers` are connected clients without `on_message`, several sessions of the one who checks; `wait` is
    how many seconds a message may take. At QoS 2: a repetition is somebody's doing. Raises as the clients do.
    """
    comparison = Comparison(len(readers), rng)
    for reader in readers:
        await reader.subscribe(forwarding(topic), qos=2)

    async def listen(path: int, reader: LightClient) -> None:
        while True:
            message: Publish = await reader.next_message(wait)
            comparison.came(path, message.payload)

    tasks = [asyncio.ensure_future(listen(path, reader)) for path, reader in enumerate(readers)]
    try:
        for number in range(messages):
            raw = comparison.send(f"probe {number}".encode())
            await writer.publish(forwarding(topic), raw, qos=2)
        # Each listener ends when nothing has come for `wait` seconds.
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
    for reader in readers:
        await reader.unsubscribe(forwarding(topic))
    return comparison.reports()
