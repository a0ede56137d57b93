"""The Session State that a Client keeps (MQTT 5, 4.1): QoS 1 and 2 both ways, no sockets, no clock.

Packets go in, packets come out; a connection is only the way they travel. That is why a delivery
survives the connection it began on, and why every rule here can be tested with plain calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mqttsec.errors import MqttsecError, ProtocolError
from mqttsec.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel, ReasonCode

LARGEST_PACKET_ID = 65_535
"""Packet Identifiers are Two Byte Integers from 1 (2.2.1)."""


@dataclass
class Delivery:
    """One outgoing QoS 1 or 2 message until its last acknowledgement."""

    publish: Publish
    """The message; its `packet_id` is set when it is sent for the first time."""
    finished: Callable[[int | MqttsecError], None]
    """Called once: with the Reason Code of the last acknowledgement, or with why there is none."""
    accepted: Callable[[], None] | None = None
    """Called, if set, when a QoS 2 message is the Server's (PUBREC); `finished` follows with PUBCOMP."""


class ClientSession:
    """What a Client remembers about messages that are not completely acknowledged.

    `receive_maximum` bounds the incoming ones, as the CONNECT announced it; `send_maximum` the
    outgoing ones, as the Server's CONNACK announced it (4.9 Flow Control).
    """

    def __init__(self, receive_maximum: int = 65_535) -> None:
        self.receive_maximum = receive_maximum
        self.send_maximum = 65_535
        self._last_id = 0
        self._reserved: set[int] = set()
        self._queue: deque[Delivery] = deque()
        self._published: dict[int, Delivery] = {}
        self._released: dict[int, Delivery] = {}
        self._again: deque[int] = deque()
        self._on_wire: set[int] = set()
        self._to_acknowledge: dict[int, Publish] = {}
        self._half_received: set[int] = set()
        self._window: set[int] = set()

    # Packet Identifiers -----------------------------------------------------------------------

    def reserve(self) -> int:
        """A Packet Identifier for a SUBSCRIBE or UNSUBSCRIBE; give it back with `free`."""
        packet_id = self._next_id()
        self._reserved.add(packet_id)
        return packet_id

    def free(self, packet_id: int) -> None:
        """The answer to a SUBSCRIBE or UNSUBSCRIBE came: its Packet Identifier may be used again."""
        self._reserved.discard(packet_id)

    def _next_id(self) -> int:
        # [MQTT-2.2.1-3] "it MUST assign it a non-zero Packet Identifier that is currently unused".
        for _ in range(LARGEST_PACKET_ID):
            self._last_id = self._last_id % LARGEST_PACKET_ID + 1
            if not (self._last_id in self._published or self._last_id in self._released
                    or self._last_id in self._reserved):
                return self._last_id
        raise MqttsecError("all 65,535 Packet Identifiers are in use: await some acknowledgements first")

    # Outgoing ---------------------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        """Number of outgoing messages that are queued or not completely acknowledged."""
        return len(self._queue) + len(self._published) + len(self._released)

    def submit(self, delivery: Delivery) -> None:
        """Take a QoS 1 or 2 message; `ready` hands it out when its turn has come."""
        self._queue.append(delivery)

    def ready(self) -> Iterator[Publish]:
        """The PUBLISH packets that may be sent now, in order."""
        # [MQTT-4.9.0-2] "If the send quota reaches zero, the Client or Server MUST NOT send any more PUBLISH
        # packets with QoS > 0".
        while self._again and len(self._on_wire) < self.send_maximum:
            packet_id = self._again.popleft()
            delivery = self._published.get(packet_id)
            if delivery is not None:
                self._on_wire.add(packet_id)
                # [MQTT-3.3.1-1] "The DUP flag MUST be set to 1 by the Client or Server when it attempts to
                # re-deliver a PUBLISH packet."
                delivery.publish = replace(delivery.publish, dup=True)
                yield delivery.publish
        while self._queue and len(self._on_wire) < self.send_maximum:
            packet_id = self._next_id()
            delivery = self._queue.popleft()
            delivery.publish = replace(delivery.publish, packet_id=packet_id)
            self._published[packet_id] = delivery
            self._on_wire.add(packet_id)
            yield delivery.publish

    def acknowledged(self, packet: Puback | Pubrec | Pubcomp) -> Pubrel | None:
        """Take the Server's answer to an outgoing message; return the PUBREL that it asks for.

        Raises `ProtocolError` for an answer that does not go with the message's QoS.
        """
        packet_id = packet.packet_id
        if isinstance(packet, Pubcomp):
            # Table 3-7: 0x92 Packet Identifier not found "is not an error during recovery". The Server
            # had done with the message, and the connection broke before its PUBCOMP came.
            self._finish(self._released, packet_id, ReasonCode.SUCCESS)
            return None
        delivery = self._published.get(packet_id)
        if isinstance(packet, Puback):
            if delivery is not None and delivery.publish.qos != 1:
                raise ProtocolError(f"PUBACK for the QoS 2 message {packet_id}")
            self._finish(self._published, packet_id, packet.reason_code)
            return None
        if delivery is None:
            # A PUBREC again: the PUBREL may have been lost with the connection. Without any such
            # message, table 3-6 has a code to say so.
            known = packet_id in self._released
            return Pubrel(packet_id, ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
        if delivery.publish.qos != 2:
            raise ProtocolError(f"PUBREC for the QoS 1 message {packet_id}")
        if packet.reason_code >= 0x80:
            # [MQTT-4.3.3-4] only a PUBREC "with a Reason Code value less than 0x80" is followed by PUBREL.
            self._finish(self._published, packet_id, packet.reason_code)
            return None
        # [MQTT-4.3.3-6] "MUST NOT re-send the PUBLISH once it has sent the corresponding PUBREL packet."
        self._released[packet_id] = self._published.pop(packet_id)
        if delivery.accepted is not None:
            delivery.accepted()
        return Pubrel(packet_id)

    def _finish(self, deliveries: dict[int, Delivery], packet_id: int, reason_code: int) -> None:
        delivery = deliveries.pop(packet_id, None)
        if delivery is not None:
            self._on_wire.discard(packet_id)
            delivery.finished(reason_code)

    # Incoming ---------------------------------------------------------------------------------

    def receive(self, publish: Publish) -> tuple[bool, Pubrec | None]:
        """Take an incoming PUBLISH: (whether it is a message to hand on, what to answer at once).

        Raises `ProtocolError` 0x93 when the Server sends more than Receive Maximum at a time.
        """
        packet_id = publish.packet_id
        if packet_id is None:
            return True, None
        if publish.qos == 2 and packet_id in self._half_received:
            # [MQTT-4.3.3-10] "MUST acknowledge any subsequent PUBLISH packet with the same Packet Identifier
            # by sending a PUBREC. It MUST NOT cause duplicate messages to be delivered to any onward
            # recipients in this case."
            self._window.add(packet_id)
            return False, Pubrec(packet_id)
        if publish.qos == 2 and packet_id in self._to_acknowledge:
            self._window.add(packet_id)
            return False, None
        self._window.add(packet_id)
        if len(self._window) > self.receive_maximum:
            raise ProtocolError(
                f"more than Receive Maximum {self.receive_maximum} messages without acknowledgement",
                ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
            )
        self._to_acknowledge[packet_id] = publish
        return True, None

    def acknowledge(self, publish: Publish, reason_code: int = 0) -> Puback | Pubrec:
        """The PUBACK or PUBREC for an incoming message.

        Raises `MqttsecError` where there is nothing to acknowledge (any more).
        """
        packet_id = publish.packet_id
        if packet_id is None:
            raise MqttsecError("a QoS 0 message has no acknowledgement")
        if self._to_acknowledge.get(packet_id) is not publish:
            raise MqttsecError(
                f"message {packet_id} waits for no acknowledgement: it got one, or the connection has "
                "changed since and the Server sends it again"
            )
        del self._to_acknowledge[packet_id]
        if publish.qos == 1:
            self._window.discard(packet_id)
            return Puback(packet_id, reason_code)
        if reason_code < 0x80:
            self._half_received.add(packet_id)
        else:
            self._window.discard(packet_id)
        return Pubrec(packet_id, reason_code)

    def release(self, pubrel: Pubrel) -> Pubcomp:
        """Take the PUBREL of an incoming QoS 2 message: its Packet Identifier is free again."""
        packet_id = pubrel.packet_id
        known = packet_id in self._half_received or packet_id in self._to_acknowledge
        self._half_received.discard(packet_id)
        self._to_acknowledge.pop(packet_id, None)
        self._window.discard(packet_id)
        return Pubcomp(packet_id, ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)

    # Connections come and go ------------------------------------------------------------------

    def resume(self, send_maximum: int) -> list[Pubrel]:
        """A new connection continues this session: the PUBREL packets to send again at once.

        `ready` then repeats the unacknowledged PUBLISH packets.
        """
        # [MQTT-4.4.0-1] "both the Client and Server MUST resend any unacknowledged PUBLISH packets (where
        # QoS > 0) and PUBREL packets using their original Packet Identifiers"; [MQTT-4.6.0-1] in order.
        self.begin(send_maximum)
        self._on_wire.update(self._released)
        self._again.extend(self._published)
        return [Pubrel(packet_id) for packet_id in self._released]

    def begin(self, send_maximum: int) -> None:
        """A new connection: quotas start afresh (4.9); the Server sends again what had no PUBACK."""
        self.send_maximum = send_maximum
        self._again.clear()
        self._on_wire.clear()
        self._window.clear()
        self._reserved.clear()
        for packet_id in [number for number, message in self._to_acknowledge.items() if message.qos == 1]:
            del self._to_acknowledge[packet_id]

    def discard(self, why: MqttsecError, queued: bool = False) -> None:
        """Forget the Session State; deliveries under way end with `why`, with `queued` waiting ones too."""
        lost = [*self._published.values(), *self._released.values()]
        if queued:
            lost += self._queue
            self._queue.clear()
        self._published.clear()
        self._released.clear()
        self._again.clear()
        self._on_wire.clear()
        self._to_acknowledge.clear()
        self._half_received.clear()
        self._window.clear()
        for delivery in lost:
            delivery.finished(why)
