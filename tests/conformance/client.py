"""The client of the suite: a plain blocking socket, no thread, no retry, nothing hidden."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable

from . import wire
from .reading import Packet, read
from .wire import Kind, Property, Text, Will

PATIENCE = 3.0
"""Seconds to wait for what has to come. A pass never takes as long; `conftest.py` shortens it for tests that
the broker is known to fail."""
SILENCE = 0.08
"""Seconds without a packet that count as silence, where nothing else can show an absence."""


class Silent(AssertionError):
    """The broker sent nothing in time."""


class Closed(AssertionError):
    """The broker closed the connection."""


class RawClient:
    """One connection to a broker, of which a test sees and decides every byte."""

    def __init__(self, address: tuple[str, int], protocol: int = 5) -> None:
        self.address = address
        self.protocol = protocol
        self.log: list[str] = []
        self.waiting = b""
        self.next_id = 0
        self.client_id = ""
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # bytes

    def send(self, *packets: bytes) -> None:
        """Send the bytes in one write. A broker that has closed already is noticed when reading."""
        data = b"".join(packets)
        self.log.append(f"  > {data[:80].hex(' ')}{' ...' if len(data) > 80 else ''}")
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.log.append("    (the broker has closed)")

    def _fill(self, wanted: int, deadline: float) -> None:
        while len(self.waiting) < wanted:
            if not select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Silent(self.story("nothing came"))
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.log.append("  < closed")
                raise Closed(self.story("the broker closed the connection"))
            self.waiting += data

    def frame(self, timeout: float | None = None) -> bytes:
        """The next whole packet as bytes."""
        deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
        self._fill(2, deadline)
        size = 1
        while self.waiting[size] & 0x80:
            size += 1
            self._fill(size + 1, deadline)
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(self.waiting[1 : size + 1]))
        total = size + 1 + length
        self._fill(total, deadline)
        raw, self.waiting = self.waiting[:total], self.waiting[total:]
        return raw

    def story(self, end: str) -> str:
        """The conversation so far, for the message of a failure."""
        return "\n".join([f"{end}; {self.client_id or 'a client'} (MQTT {self.protocol}):", *self.log[-25:]])

    # packets

    def recv(self, timeout: float | None = None) -> Packet:
        """The next packet; `Silent` or `Closed` if none comes."""
        packet = read(self.frame(timeout), self.protocol)
        self.log.append(f"  < {packet}"[:300])
        return packet

    def expect(self, kind: Kind, **fields: object) -> Packet:
        """The next packet has this kind and these fields."""
        packet = self.recv()
        assert packet.kind is kind, self.story(f"{kind.name} expected, {packet.kind.name} came")
        for name, value in fields.items():
            told = getattr(packet, name)
            assert told == value, self.story(f"{kind.name}.{name} is {told!r}, not {value!r}")
        return packet

    def expect_silence(self, seconds: float = SILENCE) -> None:
        """Nothing comes, and the connection stays open."""
        try:
            packet = self.recv(seconds)
        except Silent:
            return
        raise AssertionError(self.story(f"silence expected, {packet.kind.name} came"))

    def expect_closed(self, timeout: float | None = None) -> list[Packet]:
        """The broker closes; what it sent before that is returned."""
        before: list[Packet] = []
        deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while True:
            try:
                before.append(self.recv(max(0.0, deadline - time.monotonic())))
            except Closed:
                return before
            except Silent:
                raise AssertionError(self.story("the broker did not close the connection")) from None

    def expect_closed_or(self, kind: Kind) -> list[Packet]:
        """What comes until a packet of this kind, or until the broker closes."""
        before: list[Packet] = []
        try:
            while (packet := self.recv()).kind is not kind:
                before.append(packet)
        except Closed:
            pass
        return before

    def refused(self, *reasons: int) -> None:
        """The broker closes. If it says why (MQTT 5 leaves that open), it gives one of these reasons."""
        for packet in self.expect_closed():
            if packet.kind in (Kind.DISCONNECT, Kind.CONNACK):
                told = packet.reason
                assert told in reasons, self.story(
                    f"refused with 0x{told:02x}, not {[hex(r) for r in reasons]}"
                )

    def sync(self) -> list[Packet]:
        """Ping; everything that came before the PINGRESP.

        A broker serves the packets of one connection in their order, so that after this nothing can be
        under way that an earlier packet of this client has caused on this connection.
        """
        self.send(wire.PINGREQ)
        before: list[Packet] = []
        while (packet := self.recv()).kind is not Kind.PINGRESP:
            before.append(packet)
        return before

    def quiet(self) -> None:
        """Nothing has come before an answer to a ping."""
        before = self.sync()
        assert not before, self.story(f"nothing expected, {[p.kind.name for p in before]} came")

    # conversations

    def packet_id(self) -> int:
        self.next_id = self.next_id % 65535 + 1
        return self.next_id

    def connect(
        self,
        client_id: Text,
        *,
        reason: int = 0,
        clean: bool = True,
        keep_alive: int = 60,
        props: Iterable[Property] = (),
        will: Will | None = None,
        username: Text | None = None,
        password: Text | None = None,
    ) -> Packet:
        """CONNECT, and the CONNACK, which has this `reason`."""
        self.client_id = client_id if isinstance(client_id, str) else repr(client_id)
        self.send(
            wire.connect(
                client_id,
                protocol=self.protocol,
                clean=clean,
                keep_alive=keep_alive,
                props=props,
                will=will,
                username=username,
                password=password,
            )
        )
        return self.expect(Kind.CONNACK, reason=reason)

    def subscribe(
        self, *filters: Text | tuple[Text, int], qos: int = 0, props: Iterable[Property] = ()
    ) -> Packet:
        """SUBSCRIBE to filters (with `qos`, or each with its options byte), and the SUBACK.

        Retained messages may come before or after the SUBACK (3.8.4), so that a test which has retained
        messages sends the packet itself.
        """
        pairs = [item if isinstance(item, tuple) else (item, qos) for item in filters]
        number = self.packet_id()
        self.send(wire.subscribe(number, *pairs, props=props, protocol=self.protocol))
        suback = self.expect(Kind.SUBACK, packet_id=number)
        assert len(suback.reasons) == len(pairs), self.story("one Reason Code per filter")
        return suback

    def unsubscribe(self, *filters: Text) -> Packet:
        number = self.packet_id()
        self.send(wire.unsubscribe(number, *filters, protocol=self.protocol))
        return self.expect(Kind.UNSUBACK, packet_id=number)

    def publish(
        self,
        topic: Text,
        payload: bytes = b"",
        *,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        props: Iterable[Property] = (),
    ) -> Packet | None:
        """PUBLISH and its whole flow; at QoS 0 a ping takes the place of the acknowledgement.

        Not for a client that subscribes to its own topic: the flow takes the next packets.
        """
        number = self.packet_id() if qos else None
        self.send(
            wire.publish(
                topic,
                payload,
                qos=qos,
                retain=retain,
                dup=dup,
                packet_id=number,
                props=props,
                protocol=self.protocol,
            )
        )
        if qos == 0:
            self.quiet()
            return None
        if qos == 1:
            return self.expect(Kind.PUBACK, packet_id=number)
        pubrec = self.expect(Kind.PUBREC, packet_id=number)
        self.send(wire.ack(Kind.PUBREL, number or 0))
        self.expect(Kind.PUBCOMP, packet_id=number)
        return pubrec

    def message(
        self, topic: str | None = None, payload: bytes | None = None, *, answer: bool = True
    ) -> Packet:
        """The next packet is a PUBLISH; with `answer` its QoS 1 or 2 flow is carried through."""
        packet = self.expect(Kind.PUBLISH)
        if topic is not None:
            assert packet.topic == topic, self.story(f"topic {packet.topic!r}, not {topic!r}")
        if payload is not None:
            assert packet.payload == payload, self.story(f"payload {packet.payload!r}, not {payload!r}")
        if answer and packet.qos == 1:
            self.send(wire.ack(Kind.PUBACK, packet.packet_id or 0))
        if answer and packet.qos == 2:
            self.send(wire.ack(Kind.PUBREC, packet.packet_id or 0))
            self.expect(Kind.PUBREL, packet_id=packet.packet_id)
            self.send(wire.ack(Kind.PUBCOMP, packet.packet_id or 0))
        return packet

    def disconnect(self, reason: int | None = None, props: Iterable[Property] | None = None) -> None:
        """DISCONNECT, and wait until the broker has closed: then it has dealt with it."""
        self.send(wire.disconnect(reason, props))
        self.expect_closed()
        self.socket.close()

    def drop(self) -> None:
        """End the connection without a DISCONNECT."""
        self.socket.close()


Connect = Callable[..., RawClient]
"""The fixtures `connect` and `joined`: open a connection with this protocol level, to this broker."""
