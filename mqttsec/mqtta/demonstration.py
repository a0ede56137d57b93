"""The network of bridge brokers in `mqttsec demo`: readings go through it over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mqttsec.errors import MissingPeerError
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.policies import Policies, Variant
from mqttsec.mqtta.publics import find_mosquitto
from mqttsec.mqtta.sequence import Reorderer, Sequencer
from mqttsec.net import runtime
from mqttsec.packets import Publish

BRIDGES = 10
P_F = 0.67
_SECONDS = 60.0
_AT_ONCE = 20


@dataclass(frozen=True)
class NetworkRun:
    """One run."""

    public: str
    """What the public broker was."""
    bridges: int
    """Bridge brokers."""
    p_f: float
    """Forwarding probability."""
    published: int
    """Messages at QoS 2."""
    received: int
    """Messages that came."""
    duplicates: int
    """Messages that came more than once."""
    overtook: int
    """Messages that came before an earlier one."""
    in_order: bool
    """Whether the sequence numbers put all back in order."""
    paths: tuple[str, ...]
    """The way of each message, in the order of publishing."""
    public_saw: tuple[str, ...]
    """Client Identifiers at the public broker of who published there: last bridge brokers."""

    @property
    def complete(self) -> bool:
        """True when every message came once, and in order."""
        return self.received == self.published and not self.duplicates and self.in_order

    @property
    def mean_length(self) -> float:
        """Mean length of the paths."""
        return sum(path.count(" > ") - 1 for path in self.paths) / max(1, len(self.paths))


def demonstrate(
    messages: Sequence[tuple[str, bytes]], bridges: int = BRIDGES, p_f: float = P_F
) -> NetworkRun:
    """Send (topic, payload) pairs from one client to another through `bridges` bridge brokers, over TCP.

    The public broker is a mosquitto process, or ours where there is none. Raises as clients do.
    """
    return runtime().run(_demonstrate(messages, bridges, p_f), _SECONDS)


async def _demonstrate(messages: Sequence[tuple[str, bytes]], bridges: int, p_f: float) -> NetworkRun:
    try:
        find_mosquitto()
        public: str | At = "mosquitto"
    except MissingPeerError:
        public = "mqttsec"
    came: list[bytes] = []
    everything = asyncio.Event()

    def take(message: Publish) -> None:
        came.append(message.payload)
        if len(came) >= len(messages):
            everything.set()

    policies = Policies(p_f=p_f, variant=Variant.B)
    async with Network(bridges, policies, public=public, sockets=True, seed=None) as net:
        for topic in {topic for topic, _ in messages}:
            net.host(topic)
        reader = await net.client("reader", bridge=1, on_message=take)
        for topic in sorted({topic for topic, _ in messages}):
            await net.subscribe(reader, topic, qos=2)
        writer = await net.client("station", bridge=2)
        sequencer = Sequencer()
        stamped = [(topic, sequencer.stamp(payload)) for topic, payload in messages]
        for start in range(0, len(stamped), _AT_ONCE):
            await asyncio.gather(
                *(net.publish(writer, topic, raw, 2) for topic, raw in stamped[start : start + _AT_ONCE])
            )
        try:
            await asyncio.wait_for(everything.wait(), 20.0)
        except (asyncio.TimeoutError, TimeoutError):
            pass  # The counts below say what is missing.
        await net.settled()
        paths = net.paths()
    return _result(
        str(public), bridges, p_f, messages, came, [str(path) for path in paths], {p.exit for p in paths}
    )


def _result(
    public: str, bridges: int, p_f: float, messages: Sequence[tuple[str, bytes]], came: list[bytes],
    paths: list[str], exits: set[str],
) -> NetworkRun:  # fmt: skip
    order = Reorderer()
    out = [each for raw in came for each in order.take(raw)]
    numbers = [int.from_bytes(raw[12:20], "big") for raw in came]
    highest, overtook = -1, 0
    for number in numbers:
        overtook += number < highest
        highest = max(highest, number)
    in_order = [each.payload for each in out] == [payload for _, payload in messages]
    counts = Counter(numbers)
    return NetworkRun(
        public, bridges, p_f, len(messages), len(counts), len(came) - len(counts), overtook, in_order,
        tuple(paths), tuple(sorted(exits)),
    )  # fmt: skip


def report(run: NetworkRun, every_path: bool = True) -> str:
    """The run as text."""
    lines = [
        f"Through {run.bridges} bridge brokers over real sockets, public broker {run.public}, "
        f"p_f = {run.p_f:g}: {run.received} of {run.published} readings at QoS 2, {run.duplicates} twice",
        f"  {run.overtook} overtook others on their way; the sequence numbers put them "
        + ("back in order" if run.in_order else "NOT back in order"),
        f"  mean path length {run.mean_length:.2f} (theory {1 / (1 - run.p_f) + 1:.2f}); the public broker "
        f"had them from {', '.join(run.public_saw)}, never from the station",
    ]
    if every_path:
        lines += [f"  {number + 1:>3} {path}" for number, path in enumerate(run.paths)]
    return "\n".join(lines)
