"""MQTT over WebSocket (chapter 6), with a WebSocket client of a few lines (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import os
import socket

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import PATIENCE
from .coverage import covers, covers_311
from .reading import Packet, read

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8


class WebSocket:
    """The client's end of one WebSocket; every frame is the test's."""

    def __init__(self, address: tuple[str, int], subprotocols: str = "mqtt") -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.stream = self.socket.makefile("rb")
        self.data = b""
        key = base64.b64encode(os.urandom(16))
        request = (
            f"GET /mqtt HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {subprotocols}\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        self.status = int(self.stream.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self.stream.readline().strip():
            header, _, value = line.decode().partition(":")
            self.headers[header.strip().lower()] = value.strip()
        self.accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()

    def frame(self, payload: bytes, opcode: int = BINARY, *, last: bool = True) -> None:
        """Send one frame, masked as a client has to."""
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + wire.u16(size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.socket.sendall(bytes(((0x80 if last else 0) | opcode,)) + length + mask + masked)

    def take(self) -> tuple[int, bytes]:
        """Receive one frame; `EOFError` when the connection has ended."""
        try:
            head = self.stream.read(2)
            if len(head) < 2:
                raise EOFError
            length = head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
            return head[0] & 15, self.stream.read(length)
        except ConnectionResetError:
            raise EOFError from None

    def packet(self, protocol: int) -> Packet:
        """The next MQTT packet, out of binary frames."""
        while True:
            if len(self.data) >= 2 and len(self.data) >= 2 + self.data[1]:
                size = 2 + self.data[1]
                raw, self.data = self.data[:size], self.data[size:]
                return read(raw, protocol)
            opcode, payload = self.take()
            assert opcode in (BINARY, CONTINUATION), f"[MQTT-6.0.0-1] a frame with opcode {opcode}"
            self.data += payload

    def closed(self) -> bool:
        """Whether the broker ends the connection."""
        try:
            while True:
                opcode, _ = self.take()
                if opcode == CLOSE:
                    return True
        except EOFError:
            return True
        except TimeoutError:
            return False


@pytest.fixture
def address(brokers: Brokers) -> tuple[str, int]:
    return brokers(Profile(websocket=True)).address


@covers("MQTT-6.0.0-1", "MQTT-6.0.0-3", "MQTT-6.0.0-4")
@covers_311("MQTT-6.0.0-1", "MQTT-6.0.0-3", "MQTT-6.0.0-4")
def test_handshake_and_session(address: tuple[str, int], name: str, protocol: int) -> None:
    """The subprotocol is mqtt, and packets come in binary frames."""
    web = WebSocket(address)
    assert web.status == 101 and web.headers["sec-websocket-accept"] == web.accept
    assert web.headers["sec-websocket-protocol"] == "mqtt"
    web.frame(wire.connect(name, protocol=protocol))
    assert web.packet(protocol).reason == 0
    web.frame(wire.subscribe(1, (name, 0), protocol=protocol))
    assert web.packet(protocol).reasons == (0,)
    web.frame(wire.publish(name, b"x", protocol=protocol))
    assert web.packet(protocol).payload == b"x"


@covers("MQTT-6.0.0-4")
@covers_311("MQTT-6.0.0-4")
def test_subprotocol_is_chosen_among_others(address: tuple[str, int], name: str) -> None:
    web = WebSocket(address, "chat, mqtt")
    assert web.status == 101 and web.headers["sec-websocket-protocol"] == "mqtt"


@covers("MQTT-6.0.0-2")
@covers_311("MQTT-6.0.0-2")
def test_frames_and_packets_are_not_aligned(address: tuple[str, int], name: str, protocol: int) -> None:
    """One packet in many frames, many packets in one frame, and a fragmented WebSocket message."""
    web = WebSocket(address)
    packet = wire.connect(name, protocol=protocol)
    for byte in packet:
        web.frame(bytes((byte,)))
    assert web.packet(protocol).reason == 0
    web.frame(
        wire.subscribe(1, (name, 0), protocol=protocol)
        + wire.PINGREQ
        + wire.publish(name, b"1", protocol=protocol)[:3]
    )
    kinds = {web.packet(protocol).kind, web.packet(protocol).kind}
    assert kinds == {wire.Kind.SUBACK, wire.Kind.PINGRESP}
    rest = wire.publish(name, b"1", protocol=protocol)[3:]
    web.frame(rest[:2], BINARY, last=False)
    web.frame(rest[2:], CONTINUATION)
    assert web.packet(protocol).payload == b"1"


@covers("MQTT-6.0.0-1")
@covers_311("MQTT-6.0.0-1")
def test_text_frame_ends_the_connection(address: tuple[str, int], name: str, protocol: int) -> None:
    web = WebSocket(address)
    web.frame(wire.connect(name, protocol=protocol))
    assert web.packet(protocol).reason == 0
    web.frame(wire.PINGREQ.replace(b"\xc0", b"\x30"), TEXT)
    assert web.closed()
