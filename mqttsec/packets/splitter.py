"""Cutting a byte stream into whole MQTT Control Packets (MQTT 5, 2.1: the Fixed Header)."""

from __future__ import annotations

from collections.abc import Iterator

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.reason_codes import ReasonCode
from mqttsec.packets.wire import MAX_VARIABLE_BYTE_INTEGER


class Splitter:
    """Takes bytes as they come and gives whole packets back.

    `maximum_packet_size` in bytes counts the whole packet, as the property of that name does.
    Never holds more than one unfinished packet, which is refused as soon as its length is known.
    """

    __slots__ = ("_needed", "maximum_packet_size", "rest")

    def __init__(self, maximum_packet_size: int = MAX_VARIABLE_BYTE_INTEGER + 5) -> None:
        self.maximum_packet_size = maximum_packet_size
        self.rest = bytearray()
        """Bytes that wait for the rest of their packet."""
        self._needed = 2

    @property
    def pending(self) -> int:
        """Number of bytes that wait for the rest of their packet."""
        return len(self.rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the packets that `data` completes, in order.

        Raises `MalformedPacketError` for a Remaining Length of more than four bytes or longer than
        needed, `ProtocolError` 0x95 for a packet above the maximum. Packets before the bad one are
        lost with it: the caller closes the connection. Use `iterate` to act on them first.
        """
        return list(self.iterate(data))

    def iterate(self, data: bytes) -> Iterator[bytes]:
        """Like `feed`, one packet at a time, so that good packets before a bad one count."""
        if self.rest:
            self.rest += data
            if len(self.rest) < self._needed:
                return
            data = bytes(self.rest)
            self.rest.clear()
        position, end, self._needed = 0, len(data), 2
        try:
            while end - position >= 2:
                length = data[position + 1]
                header = 2
                if length & 0x80:
                    length, header = self._long_length(data, position, end)
                    if not header:
                        break
                total = header + length
                if total > self.maximum_packet_size:
                    raise ProtocolError(
                        f"a packet of {total} bytes is above the Maximum Packet Size of "
                        f"{self.maximum_packet_size}", ReasonCode.PACKET_TOO_LARGE)
                stop = position + total
                if stop > end:
                    self._needed = total
                    break
                frame = data[position:stop]
                position = stop
                yield frame
        finally:
            if position < end:
                self.rest += data[position:]

    @staticmethod
    def _long_length(data: bytes, position: int, end: int) -> tuple[int, int]:
        """(Remaining Length, bytes of the Fixed Header); (0, 0) while it is not all there."""
        length = 0
        for index in range(4):
            at = position + 1 + index
            if at >= end:
                return 0, 0
            byte = data[at]
            length |= (byte & 0x7F) << (7 * index)
            if not byte & 0x80:
                # [MQTT-1.5.5-1] the minimum number of bytes.
                if index and not byte:
                    raise MalformedPacketError("the Remaining Length is longer than needed")
                return length, index + 2
        raise MalformedPacketError("the Remaining Length has more than four bytes")
