"""Bytes out of one connection: collected, and written in one go at the end of a batch.

While nothing stands in the way, the system call is made here: a transport would collect as well, until
its loop has done everything else, and that is most of the delay of a single message. What the network does
not take at once goes on through the transport, which waits for it. TLS, WebSocket and links in memory
have no socket to write to and always go through their transport.
"""

from __future__ import annotations

import asyncio
import os
from os import write
from typing import TYPE_CHECKING

from amqtt.events import MQTTEvents

from mqttsec.mqtt5.replies import LARGEST_PACKET
from mqttsec.packets import ReasonCode, Splitter
from mqttsec.trace.events import EventKind

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker
    from mqttsec.mqtt5.connection import Connection

_HIGH_WATER = 256 * 1024
# Bytes in the transport at which it says that the network takes no more for now.


class Outlet:
    """Writes for one connection. Slots, because a message to many touches one of these a subscriber."""

    __slots__ = (
        "_broker",
        "_connection",
        "_has_socket",
        "backlog",
        "dirty",
        "direct",
        "ended",
        "out",
        "paused",
        "transport",
    )

    def __init__(self, broker: Broker, connection: Connection) -> None:
        self.direct = -1
        """The socket's file descriptor while nothing stands in the way of writing to it directly, else -1."""
        self.out: list[bytes] = []
        """Bytes that leave in the next write."""
        self.dirty = False
        """True while this outlet stands in the broker's list of those that have to write."""
        self.transport: asyncio.Transport | None = None
        self.paused = False
        """True while the network takes no more."""
        self.backlog = bytearray()
        """Bytes that wait for the network, besides those in the transport."""
        self.ended = False
        """True once the last packet has been written."""
        self._broker = broker
        self._connection = connection
        self._has_socket = False

    def open(self, transport: asyncio.Transport, protected: bool) -> None:
        """The network connection exists; `protected` under TLS."""
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        plain = transport.get_extra_info("socket") is not None and not protected
        self._has_socket = plain and os.name == "posix"
        self._find_direct()

    def push(self, data: bytes) -> None:
        """Let `data` leave with the next write."""
        self.out.append(data)
        if not self.dirty:
            self.dirty = True
            self._broker.dirty.append(self)

    def write_now(self, data: bytes) -> None:
        """Like `push`, but in this very moment where nothing stands in the way."""
        # Looked at before `direct`: what was pushed before goes first.
        if self.out or self.direct < 0:
            self.push(data)
            return
        try:
            sent = write(self.direct, data)
        except OSError:
            # Full, or broken: the transport will find out which, and does what has to be done.
            sent = 0
        if sent < len(data):
            self.push(data[sent:])

    def flush(self) -> None:
        """Write what is waiting, in one go."""
        self.dirty = False
        out, transport = self.out, self.transport
        if not out:
            return
        alone = len(out) == 1
        if alone and self.direct >= 0 and transport is not None and not self._broker.observed:
            # What `_write` does, without ado where it is met most often.
            data = out.pop()
            try:
                sent = write(self.direct, data)
            except OSError:
                sent = 0
            if sent < len(data):
                self.direct = -1
                transport.write(data[sent:])
            return
        data = out[0] if alone else b"".join(out)
        out.clear()
        if transport is None or self.ended:
            return
        if self.paused:
            self._let_wait(data, transport)
        else:
            self._write(data, transport, alone)

    def _write(self, data: bytes, transport: asyncio.Transport, alone: bool) -> None:
        if self._broker.observed:
            self._observe(data)
        # Where many packets go at once, more are likely to follow in this turn of the loop, and a transport
        # that collects them (uvloop's) saves system calls here and at the receiver.
        if alone and (self.direct >= 0 or self._find_direct()):
            try:
                sent = write(self.direct, data)
            except OSError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        # From here on the transport may keep a part: directly written bytes would overtake it.
        self.direct = -1
        transport.write(data)

    def _find_direct(self) -> bool:
        """Look whether nothing stands in the way (any more), and remember it in `direct`."""
        transport = self.transport
        if not self._has_socket or transport is None or self.paused or self.ended:
            return False
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        self.direct = transport.get_extra_info("socket").fileno()
        return self.direct >= 0

    def _let_wait(self, data: bytes, transport: asyncio.Transport) -> None:
        self.backlog += data
        if transport.get_write_buffer_size() + len(self.backlog) > self._broker.settings.max_write_buffer:
            self.backlog.clear()
            self._connection.end(ReasonCode.QUOTA_EXCEEDED, "you read more slowly than messages come")

    def _observe(self, data: bytes) -> None:
        connection = self._connection
        for frame in Splitter(LARGEST_PACKET).feed(data):
            self._broker.observe(EventKind.SENT, connection, frame)
            self._broker.fire_packet_event(MQTTEvents.PACKET_SENT, frame, connection.session)

    def pause(self) -> None:
        """The network does not take more for now."""
        self.direct = -1
        self.paused = True

    def resume(self) -> None:
        """The network takes bytes again."""
        self.paused = False
        if self.backlog and self.transport is not None and not self.ended:
            data = bytes(self.backlog)
            self.backlog.clear()
            self._write(data, self.transport, False)

    def finish(self) -> None:
        """Write what is left, behind what the network has not taken yet; nothing is written after it."""
        self.resume()
        self.flush()
        self.ended = True
        self.direct = -1

    def lose(self) -> None:
        """The network connection is gone, or about to be: its file descriptor may soon be another's."""
        self.direct = -1
        self.out.clear()
        self.backlog.clear()
        self.transport = None

    @property
    def congested(self) -> bool:
        """True while the network takes no more, and once the last packet has been written."""
        return self.paused or self.ended
