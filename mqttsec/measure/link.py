"""A client's connection as thin as it can be: MQTT 5 over TCP or mutual TLS 1.3, bytes counted.

Connecting blocks; afterwards `receive` takes what is there and says when it came. The time is the
kernel's (SO_TIMESTAMPNS, socket(7)), so that neither this process's own work nor its turn on the core is
part of a delay. Bytes of TLS are counted without being decrypted, unless somebody wants to read them.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from pathlib import Path

from mqttsec.errors import ConnectionFailed
from mqttsec.measure.tls_files import AUTHORITY, CLIENT, TlsFiles
from mqttsec.packets import MQTT_5, Packet, Splitter, decode, encode

SECONDS = 20.0
"""Longest wait for an answer while connecting."""
_STAMPS = getattr(socket, "SO_TIMESTAMPNS", 35)
_STAMP = struct.Struct("@qq")
_SPACE = socket.CMSG_SPACE(_STAMP.size)
_ROOM = 1 << 18
_SINK = bytearray(_ROOM)


def tls_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.3 with the client's certificate; the server's is checked against the run's authority."""
    files = TlsFiles(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(files.certificate(AUTHORITY))
    context.load_cert_chain(files.certificate(CLIENT), files.key(CLIENT))
    return context


class Link:
    """One connection. Every method raises `ConnectionFailed`, naming the client, when the broker ends it."""

    def __init__(self, name: str, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        """Of the client, for messages to a reader."""
        self.sent = 0
        """Bytes on the wire so far, TCP payload."""
        self.received = 0
        """Bytes that came so far, TCP payload."""
        self.delivered = 0
        """Bytes of MQTT in it; under TLS from the lengths of the records, which are in clear."""
        self._splitter = Splitter()
        self._records = _Records()
        self._tls: ssl.SSLObject | None = None
        try:
            self.socket = socket.create_connection((host, port), timeout=SECONDS)
        except OSError as error:
            raise ConnectionFailed(f"{name} cannot connect to {host}:{port}: {error}.") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stamped = _asks_for_stamps(self.socket)
        """Whether the kernel says when data came."""
        if tls is not None:
            self._come, self._go = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._come, self._go, server_hostname=host)
            try:
                self._shake_hands()
            except BaseException:
                self.socket.close()
                raise

    def _shake_hands(self) -> None:
        assert self._tls is not None
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError as error:
                raise self._ended(f"the TLS handshake failed, {error}") from error
        self._flush()

    def _flush(self) -> None:
        self._write(self._go.read())

    def _feed(self) -> None:
        self._come.write(self._read()[0])

    # -- packets, one after the other -------------------------------------------------------------

    def send(self, packet: Packet) -> None:
        """Send a packet and return when the kernel has all of it."""
        self.write(encode(packet, MQTT_5))

    def write(self, data: bytes) -> None:
        """Send bytes of MQTT and return when the kernel has all of them."""
        if self._tls is None:
            self._write(data)
        else:
            self._tls.write(data)
            self._flush()

    def packets(self) -> list[Packet]:
        """The packets that have come, at least one; waits for it."""
        while True:
            frames = self._splitter.feed(self.read())
            if frames:
                return [decode(frame, MQTT_5, from_client=False) for frame in frames]

    def read(self) -> bytes:
        """Bytes of MQTT that have come, at least one where there is no TLS; waits for them."""
        data = self._read()[0]
        return self.opened(data)

    def opened(self, data: bytes) -> bytes:
        """The bytes of MQTT in what came from the wire."""
        if self._tls is None:
            return data
        self._come.write(data)
        plain = bytearray()
        try:
            while True:
                plain += self._tls.read(_ROOM)
        except ssl.SSLWantReadError:
            return bytes(plain)

    def frames(self, data: bytes) -> list[bytes]:
        """The whole packets in what came from the wire, as bytes; the rest is kept."""
        return self._splitter.feed(self.opened(data))

    # -- without waiting --------------------------------------------------------------------------

    def free(self) -> None:
        """From now on `receive` does not wait."""
        self.socket.setblocking(False)

    def receive(self) -> tuple[bytes, int]:
        """(bytes from the wire, when the last of them came, nanoseconds since 1970); b"" for nothing yet."""
        try:
            return self._read()
        except BlockingIOError:
            return b"", 0

    def discard(self) -> int:
        """How many bytes have come. Without TLS the kernel throws them away unread (MSG_TRUNC, tcp(7))."""
        try:
            got = self.socket.recv_into(_SINK, 0, socket.MSG_TRUNC if self._tls is None else 0)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._ended(str(error)) from error
        if not got:
            raise self._ended("it closed the connection")
        self.received += got
        self.delivered += got if self._tls is None else self._records.plain(memoryview(_SINK)[:got])
        return got

    def _read(self) -> tuple[bytes, int]:
        try:
            data, about, _, _ = self.socket.recvmsg(_ROOM, _SPACE)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self._ended(f"no answer, {error}") from error
        if not data:
            raise self._ended("it closed the connection")
        self.received += len(data)
        self.delivered += len(data) if self._tls is None else self._records.plain(data)
        for level, kind, value in about:
            if level == socket.SOL_SOCKET and kind == _STAMPS:
                seconds, nanoseconds = _STAMP.unpack(value[: _STAMP.size])
                return data, seconds * 1_000_000_000 + nanoseconds
        return data, time.time_ns()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                taken = self.socket.send(rest)
            except BlockingIOError:
                # Full: the broker reads when it can.
                waiting = select.poll()
                waiting.register(self.socket, select.POLLOUT)
                if not waiting.poll(1e3 * SECONDS):
                    raise self._ended(f"it took no data for {SECONDS:.0f} s") from None
                continue
            except OSError as error:
                raise self._ended(str(error)) from error
            self.sent += taken
            rest = rest[taken:]

    def _ended(self, how: str) -> ConnectionFailed:
        return ConnectionFailed(f"The broker ended the connection of {self.name}: {how}.")

    def close(self) -> None:
        """Close the socket; twice does no harm."""
        self.socket.close()


def _asks_for_stamps(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
    except OSError:
        return False
    return True


class _Records:
    """Follows TLS 1.3 records by their headers: type, version, length (RFC 8446, 5.2)."""

    HEADER, OVERHEAD = 5, 17
    """Bytes of a header, and of an AEAD's tag and the inner type."""
    DATA = 23

    def __init__(self) -> None:
        self._skip = 0
        self._begun = b""

    def plain(self, data: bytes | memoryview) -> int:
        """How many bytes of content the records hold that begin in `data`."""
        total, at, end = 0, self._skip, len(data)
        if self._begun:
            data = self._begun + bytes(data)
            self._begun, end = b"", len(data)
        while end - at >= self.HEADER:
            length = data[at + 3] << 8 | data[at + 4]
            if data[at] == self.DATA:
                total += length - self.OVERHEAD
            at += self.HEADER + length
        if at < end:
            self._begun, at = bytes(data[at:end]), end
        self._skip = at - end
        return total
