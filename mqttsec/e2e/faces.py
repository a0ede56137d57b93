"""What publishers and subscribers to use have in common, whatever client carries them.

`parties` puts these on paho, `memory_parties` on light clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from mqttsec.crypto import Identity, Operations, TrustAnchor
from mqttsec.e2e.ends import PublisherEnd, SubscriberEnd
from mqttsec.e2e.journal import Journal
from mqttsec.e2e.publisher import Publisher as PublisherMachine
from mqttsec.e2e.setup import BROKER, Party, Setup
from mqttsec.e2e.subscriber import Opened
from mqttsec.e2e.subscriber import Subscriber as SubscriberMachine
from mqttsec.e2e.terms import Role
from mqttsec.errors import TimedOut
from mqttsec.trace.events import Trace

TIMEOUT = 5.0
"""Seconds that an answer of the broker may take."""

PATIENCE = 45.0
"""Seconds for a subscriber's handshake: the broker waits 30 s for a publisher that is late."""

End = TypeVar("End", bound="PublisherEnd | SubscriberEnd")


class _Face(Generic[End]):
    def __init__(self, end: End) -> None:
        self.end: End = end
        """Its part without a client."""
        self.name = end.machine.party.name
        """Client Identifier."""

    def __repr__(self) -> str:
        role = "publisher" if self.end.machine.party.role is Role.P else "subscriber"
        return f"<{role} {self.name!r}>"


class PublisherFace(_Face[PublisherEnd]):
    """P, without a client. The arguments are those of `parties.Publisher`."""

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        broker: str = BROKER,
        serves: Callable[[str], bool] = lambda topic: True,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
    ) -> None:
        counters = _counters(identity, operations, trace)
        party = Party(Role.P, identity, trust, setup or Setup(), clock, counters, serves=serves)
        super().__init__(
            PublisherEnd(PublisherMachine(party, broker), Journal(lambda: trace, party.name, counters))
        )

    def members(self, topic: str) -> tuple[str, ...]:
        """Who may read a topic."""
        with self.end.lock:
            return self.end.machine.members(topic)

    def _protect(self, topic: str, message: bytes | str) -> list[tuple[str, bytes]]:
        return self.end.protect(topic, message.encode() if isinstance(message, str) else message)


class SubscriberFace(_Face[SubscriberEnd]):
    """S, without a client. The arguments are those of `parties.Subscriber`."""

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        broker: str = BROKER,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
        on_opened: Callable[[Opened], None] | None = None,
    ) -> None:
        counters = _counters(identity, operations, trace)
        party = Party(Role.S, identity, trust, setup or Setup(), clock, counters)
        super().__init__(
            SubscriberEnd(SubscriberMachine(party, broker), Journal(lambda: trace, party.name, counters))
        )
        self.on_opened = on_opened
        """Called with each message."""

    def _show(self, opened: list[Opened]) -> None:
        if self.on_opened is not None:
            for each in opened:
                self.on_opened(each)

    def _in_vain(self, timeout: float, what: str) -> TimedOut:
        said = f"; the last that did not open: {self.end.refused[-1]}" if self.end.refused else ""
        return TimedOut(f"{self.name}: waited {timeout:g} s in vain for {what}{said}")


def _counters(identity: Identity, operations: Operations | None, trace: Trace | None) -> Operations | None:
    """Operations are counted where somebody will look at them."""
    return Operations(identity.name) if operations is None and trace is not None else operations
