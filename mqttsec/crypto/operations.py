"""Counting cryptographic operations: the cost tables of the E2E paper, taken from a real run.

A party that wants to be counted has an `Operations`; where there is none, nothing is counted and
nothing is paid: the primitives of `suites` do not know of counting (a counted box is a wrapper
round the plain one), and the slower operations test one variable for None.

    operations = Operations("P")
    before = operations.tally
    ...
    print(operations.tally - before)        # 2E + 2H

Deriving keys (HKDF) is not counted: the paper's tables have no column for it.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterable, Mapping


class Operation(str, enum.Enum):
    """What is counted (E2E paper; our specification 1.5). The order is that of reports."""

    E = "E"
    """A symmetric encryption of a message."""
    D = "D"
    """A symmetric decryption of a message."""
    H = "H"
    """An integrity tag, made or checked."""
    KEY_GENERATION = "key generation"
    """An ephemeral Diffie-Hellman key pair."""
    ECDH = "ECDH"
    """A Diffie-Hellman shared secret."""
    SIGN = "sign"
    """A signature made."""
    VERIFY = "verify"
    """A signature of a party checked."""
    CERTIFICATE_CHECK = "certificate check"
    """A certificate checked; the issuer's signature on it is part of this and no `verify`."""
    WRAP = "wrap"
    """A group key sealed for one member; the E and the H in it are part of this."""
    UNWRAP = "unwrap"
    """A wrapped group key opened; the D and the H in it are part of this."""


_SYMMETRIC = (Operation.E, Operation.D, Operation.H)


class Tally:
    """How many of each operation: immutable, with + and -, equal by value.

    `str()` writes it as the paper does: `2E + 2H`, `1 sign + 2 verify`, `0`.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[Operation, int] | None = None) -> None:
        given = counts or {}
        self._counts = {operation: given[operation] for operation in Operation if given.get(operation)}

    @classmethod
    def of(cls, *operations: Operation) -> Tally:
        """One of each operation named, as often as it is named."""
        return cls({operation: operations.count(operation) for operation in operations})

    def __getitem__(self, operation: Operation) -> int:
        return self._counts.get(operation, 0)

    def __add__(self, other: Tally) -> Tally:
        return Tally({operation: self[operation] + other[operation] for operation in Operation})

    def __sub__(self, other: Tally) -> Tally:
        return Tally({operation: self[operation] - other[operation] for operation in Operation})

    def __mul__(self, times: int) -> Tally:
        return Tally({operation: self[operation] * times for operation in Operation})

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self._counts == other._counts

    def __hash__(self) -> int:
        return hash(self.pairs())

    def pairs(self) -> tuple[tuple[str, int], ...]:
        """(name, count) of all that occurred, as `Event.operations` wants them."""
        return tuple((operation.value, count) for operation, count in self._counts.items())

    def __str__(self) -> str:
        return " + ".join(map(_term, self._counts.items())) or "0"

    def __repr__(self) -> str:
        return f"Tally({self})"


def _term(item: tuple[Operation, int]) -> str:
    operation, count = item
    if operation in _SYMMETRIC:
        return operation.value if count == 1 else f"{count}{operation.value}"
    return f"{count} {operation.value}"


class Operations:
    """The operations of one party, as they happen. Any thread may add."""

    def __init__(self, party: str = "") -> None:
        self.party = party
        """Whose operations these are; for the reader."""
        self._counts = dict.fromkeys(Operation, 0)
        # P's user thread and its network thread both work; `+=` on an int is not atomic.
        self._lock = threading.Lock()

    def add(self, operations: Iterable[Operation]) -> None:
        """Count each of `operations` once."""
        with self._lock:
            for operation in operations:
                self._counts[operation] += 1

    @property
    def tally(self) -> Tally:
        """All counted so far; the difference of two tallies is what happened in between."""
        with self._lock:
            return Tally(self._counts)

    def __repr__(self) -> str:
        return f"Operations({self.party!r}: {self.tally})"
