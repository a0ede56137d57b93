"""What a party of the schemes writes into a trace: keys by name, operations, verdicts; never key material."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mqttsec.crypto import Operations, Tally
from mqttsec.errors import MqttsecError
from mqttsec.trace.events import EventKind, Trace


class Journal:
    """One party's entries. Each bears the operations since the one before.

    `trace` gives the trace of the moment, or None: then nothing is done at all.
    """

    def __init__(
        self, trace: Callable[[], Trace | None], party: str, operations: Operations | None = None
    ) -> None:
        self._trace = trace
        self._party = party
        self._operations = operations
        self._counted = Tally()

    @property
    def listens(self) -> bool:
        """True while there is a trace."""
        return self._trace() is not None

    def derived(self, keys: Iterable[str], peer: str, detail: str) -> None:
        """Keys were agreed on, or came."""
        self._record(EventKind.DERIVED, peer, detail, tuple(keys))

    def checked(self, peer: str, detail: str) -> None:
        """Something of `peer` was found right."""
        self._record(EventKind.CHECKED, peer, detail)

    def rejected(self, peer: str, error: MqttsecError) -> None:
        """Something of `peer` was refused."""
        self._record(EventKind.REJECTED, peer, str(error))

    def forwarded(self, peer: str, detail: str) -> None:
        """A message was passed on to `peer`. Entered only where it took operations."""
        if self.listens and self._operations is not None and self._operations.tally != self._counted:
            self._record(EventKind.FORWARDED, peer, detail)

    def note(self, peer: str, detail: str) -> None:
        """Something else worth seeing."""
        self._record(EventKind.NOTE, peer, detail)

    def _record(self, kind: EventKind, peer: str, detail: str, keys: tuple[str, ...] = ()) -> None:
        trace = self._trace()
        if trace is None:
            return
        spent = Tally()
        if self._operations is not None:
            now = self._operations.tally
            spent, self._counted = now - self._counted, now
        trace.record(kind, self._party, peer, detail=detail, keys=keys, operations=spent.pairs())
