"""How a client writes the life of its connections into a trace: the same for both clients."""

from __future__ import annotations

from mqttsec.trace.events import EventKind, Trace

UNNAMED = "client"
"""The party's name while a client without Client Identifier waits for the Server to assign one."""


class Recorder:
    """Records the connections of one client, one after the other, numbered from 1.

    Without a trace it does nothing. The trace is safe to record into from any thread.
    """

    __slots__ = ("_protected", "connection", "party", "peer", "protocol", "trace")

    def __init__(self, trace: Trace | None, party: str, peer: str, protocol: int) -> None:
        self.trace = trace
        self.party = party or UNNAMED
        self.peer = peer
        self.protocol = protocol
        self.connection = 0
        """Number of the current or last connection; 0 before the first."""
        self._protected = False

    def opened(self, protected: bool = False) -> None:
        """A Network Connection came into being; `protected` says that TLS covers it."""
        self.connection += 1
        self._protected = protected
        self._record(EventKind.OPENED)

    def closed(self, why: str = "") -> None:
        """The Network Connection ended."""
        self._record(EventKind.CLOSED, detail=why)

    def sent(self, frame: bytes) -> None:
        """`frame`, one whole packet, goes to the network. Call before writing: no answer can overtake it."""
        self._record(EventKind.SENT, frame)

    def received(self, frame: bytes) -> None:
        """`frame`, one whole packet, came from the network."""
        self._record(EventKind.RECEIVED, frame)

    def lost(self, frame: bytes) -> None:
        """The network refused `frame` after `sent` was recorded."""
        self._record(EventKind.LOST, frame)

    def _record(self, kind: EventKind, frame: bytes = b"", detail: str = "") -> None:
        if self.trace is not None:
            self.trace.record(
                kind, self.party, self.peer, packet=frame, protocol=self.protocol,
                connection=self.connection, detail=detail, protected=self._protected,
            )
