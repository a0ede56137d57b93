"""What a link does to the bytes that it carries, and what it tells about bytes that it lost."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from mqttsec.errors import ConfigurationError

Address: TypeAlias = tuple[str, int]
"""A host by its name and a port, as `("broker", 1883)`."""


class OnLoss(str, enum.Enum):
    """What a lost segment means for the connection."""

    RETRANSMIT = "retransmit"
    """TCP's way: the segment is sent again after a time-out, and what is behind it waits. Nothing
    is missing and nothing changes places, it is late."""
    BREAK = "break"
    """The connection ends there and takes along everything that is on its way, in both
    directions. This is how MQTT, which needs an "ordered, lossless, stream of bytes" [MQTT-4.2-1],
    really loses messages."""


class LossCause(str, enum.Enum):
    """Why bytes that were written never reached the reader."""

    CUT = "cut"
    """Somebody cut the connection."""
    BREAK = "break"
    """The link broke by its own settings (`OnLoss.BREAK` or `break_after`)."""
    ABORTED = "aborted"
    """The writer aborted its transport with bytes still waiting in it."""
    CLOSED = "closed"
    """The reader had already closed its end, or closed it with the bytes unread."""


@dataclass(frozen=True)
class Loss:
    """One run of bytes that was lost in one direction of a connection."""

    time: float
    """When, by the clock of the loop."""
    connection: int
    """Number of the connection in its network, from 1."""
    source: Address
    """The end that wrote the bytes."""
    destination: Address
    """The end that never got them."""
    offset: int
    """Position of the first lost byte in all that `source` wrote on this connection."""
    data: bytes
    """The lost bytes, a run without gaps. The first may lie within a packet."""
    cause: LossCause
    """Why."""


@dataclass(frozen=True)
class LinkSettings:
    """The properties of one direction of a link. The defaults are a perfect link.

    The link carries a *stream* as TCP does: bytes arrive in the order in which they were
    written. Loss and reordering therefore show as delay, unless `on_loss` says otherwise.
    Raises `ConfigurationError` for a value that cannot be.
    """

    delay: float = 0.0
    """Seconds from one end to the other (half the round-trip time)."""
    bandwidth: float | None = None
    """Bytes per second that leave the sender, shared by all connections on the link; None: no limit."""
    jitter: float = 0.0
    """Each segment takes up to so many seconds longer, evenly spread. It never overtakes."""
    loss: float = 0.0
    """Probability that one transmission of a segment is lost, 0 to 1 (below 1 to retransmit)."""
    on_loss: OnLoss = OnLoss.RETRANSMIT
    """What a loss does."""
    retransmit_after: float = 0.2
    """Seconds until a lost segment is sent again, doubled with every further loss of it up to
    60 s (RFC 6298; 0.2 s is what Linux waits at least)."""
    reorder: float = 0.0
    """Probability that a segment takes a detour. The stream behind it waits for it."""
    reorder_delay: float = 0.05
    """Seconds that a detour takes."""
    break_after: int | None = None
    """The connection breaks once it has carried so many bytes, both directions together."""
    segment: int = 1460
    """Bytes that are lost, delayed or reordered together (Ethernet's TCP payload)."""
    window: int = 262_144
    """Bytes that may be on their way or unread in one direction; more wait at the writer, whose
    transport then asks it to pause."""

    def __post_init__(self) -> None:
        for name in ("delay", "jitter", "retransmit_after", "reorder_delay"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < float("inf"):
                raise ConfigurationError(f"LinkSettings.{name} is {value!r}: give seconds from 0 up")
        for name in ("loss", "reorder"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise ConfigurationError(f"LinkSettings.{name} is {value!r}: give a probability from 0 to 1")
        try:
            OnLoss(self.on_loss)
        except ValueError:
            ways = " or ".join(f"OnLoss.{way.name}" for way in OnLoss)
            raise ConfigurationError(f"LinkSettings.on_loss is {self.on_loss!r}: choose {ways}") from None
        if self.loss == 1 and self.on_loss is OnLoss.RETRANSMIT:
            raise ConfigurationError(
                "LinkSettings.loss is 1: nothing would ever arrive; use MemoryNetwork.partition()"
            )
        if self.bandwidth is not None and not (_is_number(self.bandwidth) and self.bandwidth > 0):
            raise ConfigurationError(
                f"LinkSettings.bandwidth is {self.bandwidth!r}: give bytes per second above 0, or None"
            )
        for name in ("segment", "window"):
            value = getattr(self, name)
            if not _is_number(value, whole=True) or value < 1:
                raise ConfigurationError(f"LinkSettings.{name} is {value!r}: give bytes, 1 or more")
        if self.break_after is not None and not (
            _is_number(self.break_after, whole=True) and self.break_after >= 0
        ):
            raise ConfigurationError(
                f"LinkSettings.break_after is {self.break_after!r}: give bytes from 0 up"
            )

    @property
    def is_plain(self) -> bool:
        """True if bytes need not be cut into segments: each takes `delay` and nothing can happen to it."""
        return self.bandwidth is None and not (self.jitter or self.loss or self.reorder)


def _is_number(value: object, whole: bool = False) -> bool:
    """True for an int, or a float unless it has to be `whole`; True and False are no numbers here."""
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
