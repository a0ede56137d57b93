"""QoS 1 and 2 towards one client: in-flight window, queue, acknowledgements, re-delivery (4.3, 4.4, 4.9).

A pure state machine: it writes through a `push` function and knows no clock and no socket. It lives
in the session, so it survives the connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5.message import Form, Message, with_dup
from mqttsec.packets import ReasonCode


class Delivery(NamedTuple):
    """One message owed to one client; shared by all clients that get the same wire form."""

    message: Message
    """The message."""
    form: Form
    """The wire form for this client."""


class Released(NamedTuple):
    """A QoS 2 message that the client has: PUBREC came, only the Packet Identifier is still in use."""


RELEASED = Released()
_Push = Callable[[bytes], None]
_Heard = Callable[[Message, int], None]
_Encode = Callable[[Delivery], tuple[bytes, bytes] | None]
# What encodes a delivery for its connection; None where the client does not take a packet that large:
# [MQTT-3.1.2-25] then "it MUST discard it without sending it and then behave as if it had completed
# sending that Application Message".


class Outbox:
    """What one session still owes its client, in order [MQTT-4.6.0-6].

    `window` is how many messages may be unacknowledged at a time: the client's Receive Maximum, or
    the broker's own limit if that is lower [MQTT-3.3.4-9].
    """

    __slots__ = (
        "_active",
        "_next",
        "_queue",
        "_queued_bytes",
        "dropped",
        "free",
        "heard",
        "inflight",
        "window",
    )

    def __init__(self) -> None:
        self.free = 0
        """Packet Identifier that the next delivery gets; 0 while it would have to wait."""
        self.window = 0
        self.inflight: dict[int, Delivery | Released] = {}
        """Unfinished deliveries by Packet Identifier, oldest first."""
        # Deliveries without a Packet Identifier yet, and Packet Identifiers to send again.
        self._queue: deque[Delivery | int] = deque()
        self._queued_bytes = 0
        self._active = 0
        self._next = 1
        self.dropped = 0
        """Messages given up because the queue was full or they expired."""
        self.heard: _Heard | None = None
        """Called, if set, with each message that the client has taken over (PUBACK, PUBREC) and the Reason
        Code; also when a message is given up: 0 where the standard takes it for done, else 0x97."""

    @property
    def queued(self) -> int:
        """Messages that wait for the client or for the window."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """Payload bytes of the messages that wait."""
        return self._queued_bytes

    def admit(self, delivery: Delivery) -> int:
        """Take a delivery into the window; returns its Packet Identifier, 0 when it has to wait (queued)."""
        packet_id = self.free
        if not packet_id:
            self.enqueue(delivery)
            return 0
        self._take(packet_id, delivery)
        return packet_id

    def _take(self, packet_id: int, delivery: Delivery) -> None:
        inflight = self.inflight
        inflight[packet_id] = delivery
        self._active += 1
        following = packet_id % 65_535 + 1
        self._next = following
        if self._active < self.window and following not in inflight and not self._queue:
            self.free = following
        else:
            self._find_free()

    def _find_free(self) -> None:
        """Something changed that `free` depends on."""
        if self._queue or self._active >= self.window:
            self.free = 0
            return
        # It ends: without a queue, all that is in flight counts against a window below the number of
        # identifiers.
        packet_id = self._next
        while packet_id in self.inflight:
            packet_id = packet_id % 65_535 + 1
        self.free = packet_id

    def send(self, delivery: Delivery, head: bytes, tail: bytes, push: _Push) -> bool:
        """Send now if the window allows, else queue. False when it had to wait."""
        packet_id = self.admit(delivery)
        if packet_id:
            push(head + packet_id.to_bytes(2, "big") + tail)
        return packet_id > 0

    def enqueue(self, delivery: Delivery) -> None:
        """Let a message wait, for the window or for the client's return."""
        self._queue.append(delivery)
        self._queued_bytes += len(delivery.message.payload)
        self.free = 0

    def drop_newest(self) -> None:
        """Give up the message that was queued last."""
        if self._queue and not isinstance(self._queue[-1], int):
            message: Message = self._queue.pop().message  # type: ignore[union-attr]
            self._queued_bytes -= len(message.payload)
            self.dropped += 1
            if self.heard is not None:
                self.heard(message, ReasonCode.QUOTA_EXCEEDED)

    def pump(self, push: _Push, encode: _Encode, now: float) -> None:
        """Send what waits as far as the window allows. `now` is loop time in seconds."""
        queue, inflight = self._queue, self.inflight
        while queue and self._active < self.window:
            item = queue.popleft()
            if isinstance(item, int):
                self._send_again(item, push, encode)
                continue
            self._queued_bytes -= len(item.message.payload)
            parts = None if item.message.expired(now) else encode(item)
            if parts is None:
                self.dropped += 1
                if self.heard is not None:
                    self.heard(item.message, ReasonCode.SUCCESS)
                continue
            packet_id = self._next
            while packet_id in inflight:
                packet_id = packet_id % 65_535 + 1
            inflight[packet_id] = item
            self._active += 1
            self._next = packet_id % 65_535 + 1
            push(parts[0] + packet_id.to_bytes(2, "big") + parts[1])
        self._find_free()

    def _send_again(self, packet_id: int, push: _Push, encode: _Encode) -> None:
        entry = self.inflight[packet_id]
        self._active += 1
        if isinstance(entry, Released):
            push(pubrel(packet_id))
            return
        parts = encode(entry)
        if parts is None:
            self._finish(packet_id)
            if self.heard is not None:
                self.heard(entry.message, ReasonCode.SUCCESS)
            return
        push(with_dup(parts[0]))
        push(packet_id.to_bytes(2, "big"))
        push(parts[1])

    def resume(self, window: int) -> None:
        """Begin a new connection: all that is unacknowledged goes again, in its order, before the queue.

        [MQTT-4.4.0-1] "the Server MUST resend any unacknowledged PUBLISH packets (where QoS > 0) and PUBREL
        packets using their original Packet Identifiers". Nothing is resent at any other time.
        """
        fresh = (item for item in self._queue if not isinstance(item, int))
        self._queue = deque([*self.inflight, *fresh])
        self._active = 0
        self.window = window
        self._find_free()

    def adopt_protocol(self, protocol: int) -> None:
        """Encode what waits for the Protocol Version with which the client came back."""
        for packet_id, entry in self.inflight.items():
            if isinstance(entry, Delivery):
                self.inflight[packet_id] = Delivery(entry.message, entry.form._replace(protocol=protocol))
        self._queue = deque(
            item if isinstance(item, int) else Delivery(item.message, item.form._replace(protocol=protocol))
            for item in self._queue
        )

    def _finish(self, packet_id: int) -> None:
        del self.inflight[packet_id]
        queue = self._queue
        if queue and isinstance(queue[0], int) and packet_id in queue:
            # Acknowledged before it was sent again: it never counted against the window.
            queue.remove(packet_id)
        else:
            self._active -= 1
        if not self.free and not queue:
            self._find_free()

    def puback(self, packet_id: int, reason_code: int = 0) -> None:
        """PUBACK came: the QoS 1 delivery is complete. An unknown identifier is ignored.

        Raises `ProtocolError` when the identifier belongs to a QoS 2 delivery.
        """
        entry = self.inflight.get(packet_id)
        if entry is None:
            return
        if isinstance(entry, Released) or entry.form.qos != 1:
            raise ProtocolError("PUBACK answers a QoS 2 PUBLISH")
        self._finish(packet_id)
        if self.heard is not None:
            self.heard(entry.message, reason_code)

    def pubrec(self, packet_id: int, reason_code: int) -> bytes:
        """PUBREC came; returns the PUBREL to send, or nothing where the client refused.

        Raises `ProtocolError` when the identifier belongs to a QoS 1 delivery.
        """
        entry = self.inflight.get(packet_id)
        if entry is None:
            return pubrel(packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
        if isinstance(entry, Delivery) and entry.form.qos != 2:
            raise ProtocolError("PUBREC answers a QoS 1 PUBLISH")
        if reason_code >= 0x80:
            # 4.3.3: a PUBREC of 0x80 or more frees the Packet Identifier; there is no PUBREL.
            self._finish(packet_id)
        else:
            self.inflight[packet_id] = RELEASED
        if self.heard is not None and isinstance(entry, Delivery):
            self.heard(entry.message, reason_code)
        return b"" if reason_code >= 0x80 else pubrel(packet_id)

    def pubcomp(self, packet_id: int) -> None:
        """PUBCOMP came: the QoS 2 delivery is complete. An unknown identifier is ignored.

        Raises `ProtocolError` when PUBREC is still owed.
        """
        entry = self.inflight.get(packet_id)
        if entry is None:
            return
        if isinstance(entry, Delivery):
            raise ProtocolError("PUBCOMP before PUBREC")
        self._finish(packet_id)

    def clear(self) -> None:
        """The session ended: nothing is owed any more."""
        self.inflight.clear()
        self._queue.clear()
        self._queued_bytes = self._active = 0
        self._find_free()


def pubrel(packet_id: int, reason_code: int = 0) -> bytes:
    """A PUBREL; with a Reason Code only where it is not 0 (so it suits 3.1.1 as well)."""
    if reason_code:
        return b"\x62\x03" + packet_id.to_bytes(2, "big") + bytes((reason_code,))
    return b"\x62\x02" + packet_id.to_bytes(2, "big")
