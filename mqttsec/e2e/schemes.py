"""The four schemes as one table: channel x protection x key (specification 1.2), and what follows from it.

Nothing else in this package distinguishes the schemes: handshake, channel, broker and the cost tables
read these rows.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from mqttsec.crypto import Operation, Tally
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.errors import ConfigurationError


class Protection(str, enum.Enum):
    """What is done to a message on a channel."""

    NONE = "none"
    """It passes as it is."""
    I = "I"  # noqa: E741 - the paper's letter
    """A tag over it: MAC only."""
    EI = "EI"
    """Encrypt, then a tag over the ciphertext."""

    @property
    def makes(self) -> Tally:
        """Operations of whoever puts the protection on."""
        return _MAKES[self]

    @property
    def checks(self) -> Tally:
        """Operations of whoever takes it off."""
        return _CHECKS[self]


_MAKES = {
    Protection.NONE: Tally(),
    Protection.I: Tally.of(Operation.H),
    Protection.EI: Tally.of(Operation.E, Operation.H),
}
_CHECKS = {
    Protection.NONE: Tally(),
    Protection.I: Tally.of(Operation.H),
    Protection.EI: Tally.of(Operation.D, Operation.H),
}


class Mode(str, enum.Enum):
    """How a message is enciphered for several subscribers (specification 1.5)."""

    PER_RECIPIENT = "per_recipient"
    """Where the end-to-end key is individual, one ciphertext for each subscriber, each on its own topic."""
    SINGLE_CIPHERTEXT = "single_ciphertext"
    """One ciphertext for all, under one end-to-end key that all subscribers share, as the paper timed it."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table: how one channel of a scheme is protected."""

    protection: Protection
    """What is done."""
    key: KeyName | None = None
    """Under which key; None where nothing is done."""


@dataclass(frozen=True)
class Scheme:
    """One column of the table of specification 1.2."""

    number: int
    """1 to 4."""
    publisher_broker: Cell
    """The outer layer between a publisher and the broker."""
    broker_subscriber: Cell
    """The outer layer between the broker and a subscriber."""
    publisher_subscriber: Cell
    """The inner layer, end to end."""

    def end_to_end(self, mode: Mode) -> Cell:
        """The inner layer in a mode: one ciphertext for all needs one key for all."""
        if mode is Mode.SINGLE_CIPHERTEXT:
            return Cell(self.publisher_subscriber.protection, KeyName.GK_P)
        return self.publisher_subscriber

    def keys(self, mode: Mode) -> frozenset[KeyName]:
        """The keys that protect messages."""
        cells = (self.publisher_broker, self.broker_subscriber, self.end_to_end(mode))
        return frozenset(cell.key for cell in cells if cell.key is not None)


_NO, _I, _EI = Protection.NONE, Protection.I, Protection.EI
_K_PB, _K_BS, _K_PS, _GK_B, _GK_P = KeyName

SCHEMES: dict[int, Scheme] = {
    scheme.number: scheme
    for scheme in (
        #         P-B               B-S               P-S
        Scheme(1, Cell(_NO),        Cell(_NO),        Cell(_EI, _K_PS)),
        Scheme(2, Cell(_EI, _K_PB), Cell(_EI, _K_BS), Cell(_EI, _K_PS)),
        Scheme(3, Cell(_EI, _K_PB), Cell(_EI, _GK_B), Cell(_EI, _GK_P)),
        Scheme(4, Cell(_I, _K_PB),  Cell(_I, _GK_B),  Cell(_EI, _GK_P)),
    )
}  # fmt: skip
"""The table of specification 1.2, by scheme number."""


def scheme(number: int) -> Scheme:
    """The row of a scheme. Raises `ConfigurationError` for a number that is not 1, 2, 3 or 4."""
    try:
        return SCHEMES[number]
    except KeyError:
        raise ConfigurationError(f"there are schemes 1, 2, 3 and 4, not {number!r}") from None


# What a message looks like on the wire ---------------------------------------------------------


class Wire(str, enum.Enum):
    """A leg of a message's way."""

    P_B = "P-B"
    """From the publisher to the broker."""
    B_S = "B-S"
    """From the broker to a subscriber."""


def layers(row: Scheme, wire: Wire, mode: Mode) -> tuple[Cell, ...]:
    """The layers of a message on `wire`, the outermost first; channels without protection add none."""
    outer = row.publisher_broker if wire is Wire.P_B else row.broker_subscriber
    return tuple(cell for cell in (outer, row.end_to_end(mode)) if cell.protection is not Protection.NONE)


def removable(layers_on_wire: Collection[Cell], keys: Collection[KeyName]) -> int:
    """How many layers, from the outermost on, come off with `keys`.

    A layer of tags only hides nothing, so it comes off for anybody.
    """
    count = 0
    for cell in layers_on_wire:
        if cell.protection is Protection.EI and cell.key not in keys:
            break
        count += 1
    return count


def keys_of(role: Role | None) -> frozenset[KeyName]:
    """The keys of a party after an honest handshake; None: of an outsider."""
    return frozenset(key for key in KeyName if role in key.holders)


def reads(row: Scheme, wire: Wire, mode: Mode, role: Role | None) -> bool:
    """Whether a party (None: an outsider on the network) can read the Application Message on `wire`."""
    on_wire = layers(row, wire, mode)
    return removable(on_wire, keys_of(role)) == len(on_wire)


# The oracle of specification 1.5 ---------------------------------------------------------------


def ciphertexts(row: Scheme, mode: Mode, subscribers: int) -> int:
    """How many ciphertexts a publisher makes of one Application Message."""
    key = row.end_to_end(mode).key
    return 1 if key is None or key.is_group else subscribers


def operations(row: Scheme, mode: Mode, subscribers: int) -> dict[Role, Tally]:
    """Operations for one Application Message to `subscribers`, for P, for B and for each S.

    This is the table of specification 1.5; the counters of a run must equal it.
    """
    sent = ciphertexts(row, mode, subscribers)
    receivers_of_each = subscribers // sent if sent else 0
    outbound = row.broker_subscriber
    shared = outbound.key is not None and outbound.key.is_group
    fan_out = min(1, receivers_of_each) if shared else receivers_of_each
    inner = row.end_to_end(mode).protection
    return {
        Role.P: sent * (inner.makes + row.publisher_broker.protection.makes),
        Role.B: sent * (row.publisher_broker.protection.checks + fan_out * outbound.protection.makes),
        Role.S: outbound.protection.checks + inner.checks,
    }


_ONE_SIDE = Tally.of(
    Operation.KEY_GENERATION, Operation.ECDH, Operation.SIGN, Operation.VERIFY, Operation.CERTIFICATE_CHECK
)
"""Of a party that agrees on one key with one peer: its part of a signed Diffie-Hellman exchange."""


def connect_operations() -> dict[Role, Tally]:
    """Operations of Block 1, which is the same in all schemes (specification 1.5)."""
    return {Role.P: _ONE_SIDE, Role.B: _ONE_SIDE}


def subscribe_operations(row: Scheme, mode: Mode) -> dict[Role, Tally]:
    """Operations of Block 2 for one subscriber (specification 1.5).

    Group keys cost a wrap where they are given out and an unwrap where they arrive.
    """
    keys = row.keys(mode)
    wraps = {
        Role.P: Tally.of(Operation.WRAP) * (KeyName.GK_P in keys),
        Role.B: Tally.of(Operation.WRAP) * (KeyName.GK_B in keys),
    }
    return {
        Role.P: _ONE_SIDE + wraps[Role.P],
        # B also checks P's signature; it knows P's certificate from Block 1.
        Role.B: _ONE_SIDE + Tally.of(Operation.VERIFY) + wraps[Role.B],
        Role.S: 2 * _ONE_SIDE - Tally.of(Operation.SIGN)
        + Tally.of(Operation.UNWRAP) * sum(key.is_group for key in keys),
    }  # fmt: skip
