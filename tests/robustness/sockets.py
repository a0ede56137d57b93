"""A blocking client on a real socket that does exactly what a test says, packet by packet."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import TypeVar

from mqttsec.packets import (
    MQTT_5,
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
    encode,
)

P = TypeVar("P", bound=Packet)

PATIENCE = 20.0
"""Seconds after which an answer is not coming any more."""


class Plain:
    """One connection. Every wait has an end: `PATIENCE`."""

    def __init__(
        self, address: tuple[str, int], protocol: int = MQTT_5, receive_buffer: int | None = None
    ) -> None:
        self.protocol = protocol
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._splitter = Splitter()
        self._frames: list[bytes] = []

    def connect(self, client_id: str, clean_start: bool = True, expiry: int = 0) -> bool:
        """Connect and return Session Present; in 3.1.1 a session lasts without `clean_start`."""
        own = Properties(session_expiry_interval=expiry if self.protocol == MQTT_5 and expiry else None)
        self.send(Connect(client_id, clean_start, 0, properties=own, protocol=self.protocol))
        answer = self.expect(Connack)
        assert not answer.reason_code, answer
        return answer.session_present

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for the answer."""
        self.send(Subscribe(60_000, (SubscribeFilter(topic_filter, qos),)))
        assert self.expect(Suback).reason_codes == (qos,)

    def send(self, *packets: Packet) -> None:
        """Send packets."""
        self.socket.sendall(b"".join(encode(packet, self.protocol) for packet in packets))

    def receive(self) -> Packet | None:
        """The next packet, or None at the end of the stream."""
        while not self._frames:
            data = self.socket.recv(65_536)
            if not data:
                return None
            self._frames += self._splitter.feed(data)
        return decode(self._frames.pop(0), self.protocol, from_client=False)

    def expect(self, kind: type[P]) -> P:
        """The next packet, which must be of this kind."""
        packet = self.receive()
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    def deliver(self, publish: Publish) -> None:
        """Publish with the whole hand-shake."""
        self.send(publish)
        number = publish.packet_id
        if publish.qos == 1:
            assert self.expect(Puback).packet_id == number
        elif publish.qos == 2:
            assert self.expect(Pubrec).packet_id == number
            assert number is not None
            self.send(Pubrel(number))
            assert self.expect(Pubcomp).packet_id == number

    def take(self) -> Publish:
        """The next message; what hand-shakes need meanwhile is done."""
        publish = self._past_handshakes()
        assert isinstance(publish, Publish), f"{publish} instead of a PUBLISH"
        number = publish.packet_id
        if number is not None:
            self.send(Puback(number) if publish.qos == 1 else Pubrec(number))
        return publish

    def nothing_more(self) -> None:
        """Fail if anything but the end of hand-shakes comes before the answer to a PINGREQ."""
        self.send(Pingreq())
        packet = self._past_handshakes()
        assert isinstance(packet, Pingresp), f"{packet} instead of nothing"

    def _past_handshakes(self) -> Packet | None:
        while isinstance(packet := self.receive(), Pubrel):
            self.send(Pubcomp(packet.packet_id))
        return packet

    def close(self) -> None:
        """Close without a word."""
        self.socket.close()

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def until(holds: object, what: str) -> None:
    """Wait until `holds()` is true; fail after `PATIENCE` seconds."""
    assert callable(holds)
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.01)
