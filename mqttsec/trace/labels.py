"""Labels: one packet in one line, as it stands on an arrow of a ladder or in a table.

`PUBLISH QoS 1 id 7 "site/seattle" 43 B`. A packet that cannot be parsed gets a label that says
so: a trace also holds what an attacker sent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from mqttsec.errors import ProtocolError
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    decode,
)
from mqttsec.packets.reason_codes import ConnectReturnCode, reason_name

NAME_CELLS = 40
"""Topics, Client Identifiers and the like are shortened to this width."""
METHOD_CELLS = 24
"""Authentication Methods are cut off at this width."""
GLUE = "\N{NO-BREAK SPACE}"
"""Stands in a label for a blank within `QoS 1`; user text cannot bring it, `printable` escapes it."""


def packet_name(frame: bytes) -> str:
    """`PUBLISH`, from the packet's first byte; `type 0` and `nothing` for what is no packet."""
    if not frame:
        return "nothing"
    number = frame[0] >> 4
    return PacketType(number).name if number in PacketType._value2member_map_ else f"type {number}"


def packet_label(frame: bytes, protocol: int = 5, hidden_bytes: int = 0) -> str:
    """The packet in one line: its name and its main fields; of a PUBLISH also its length in bytes.

    `hidden_bytes`, where there is no `frame`, is what a listener learns of a packet under TLS.
    Never raises: a malformed packet's label begins with `malformed` and ends with the reason.
    """
    return glued_label(frame, protocol, hidden_bytes).replace(GLUE, " ")


def glued_label(frame: bytes, protocol: int = 5, hidden_bytes: int = 0) -> str:
    """`packet_label` with `GLUE` in place of the blanks at which `wrap` should not break a line."""
    if not frame:
        return f"TLS{GLUE}{hidden_bytes}{GLUE}B" if hidden_bytes else "nothing"
    try:
        packet = decode(frame, protocol)
    except ProtocolError as error:
        return f"malformed {packet_name(frame)} {len(frame)} B: {printable(str(error))}"
    describe = _DESCRIPTIONS.get(type(packet))
    words = [packet_name(frame), *(describe(packet, protocol) if describe else ())]
    if isinstance(packet, Publish):
        words.append(f"{len(frame)} B")
    return " ".join(word.replace(" ", GLUE) for word in words if word)


def printable(text: str) -> str:
    """`text` on one line and harmless to show: what is no printable character is written as `\\n`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def cells(text: str) -> int:
    """How many character cells `text` takes in a fixed-width font: 2 for CJK, 0 for combining marks."""
    if text.isascii():
        return len(text)
    return sum(map(_cell, text))


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` cells, by leaving out its middle; both ends of a topic tell something."""
    if cells(text) <= width:
        return text
    if width <= 2:
        return "."[:width] * width
    head, tail = (width - 1) // 2, (width - 2) // 2
    return _prefix(text, head) + ".." + _prefix(text[::-1], tail)[::-1]


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken at blanks.

    If it must be, at `GLUE`, in a word behind its "/", or anywhere in it.
    """
    # Between lifelines that stand close there may be no cell at all.
    width = max(width, 1)
    lines: list[str] = []
    line = ""
    for word in _words(text, width):
        if line and cells(line) + 1 + cells(word) <= width:
            line += " " + word
            continue
        if line:
            lines.append(line)
        while cells(word) > width:
            # One character always goes on, or a wide one in a column of one cell would stay for ever.
            part = _prefix(word, width) or word[0]
            # A Topic Name is read level by level.
            part = part[: part.rfind("/") + 1] or part
            lines.append(part)
            word = word[len(part):]
        line = word
    if line or not lines:
        lines.append(line)
    return [line.replace(GLUE, " ") for line in lines]


def _words(text: str, width: int) -> Iterator[str]:
    for word in text.split(" "):
        if cells(word) <= width:
            yield word
        else:
            yield from word.split(GLUE)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _prefix(text: str, width: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _cell(character)
        if taken > width:
            return text[:index]
    return text


def _name(text: str) -> str:
    return f'"{shorten(printable(text), NAME_CELLS)}"'


def _method(method: str | None) -> str:
    # Its head says which it is; what follows are settings, the same on each arrow.
    if method is None:
        return ""
    name = printable(method)
    return f'method "{name if cells(name) <= METHOD_CELLS else _prefix(name, METHOD_CELLS - 2) + ".."}"'


def _connect(packet: Connect, protocol: int) -> list[str]:
    method = packet.properties.authentication_method
    return [
        _name(packet.client_id),
        "MQTT 3.1.1" if packet.protocol == 4 else "",
        "clean" if packet.clean_start else "resume",
        f"keep alive {packet.keep_alive} s",
        f"user {_name(packet.username)}" if packet.username is not None else "",
        "password" if packet.password is not None else "",
        f"will {_name(packet.will.topic)}" if packet.will else "",
        _method(method),
        _data(packet.properties.authentication_data),
    ]


def _connack(packet: Connack, protocol: int) -> list[str]:
    if protocol == 5:
        reason = _reason(packet.reason_code) or "Success"
    elif packet.reason_code in ConnectReturnCode._value2member_map_:
        name = ConnectReturnCode(packet.reason_code).name.replace("_", " ").capitalize()
        reason = f"{packet.reason_code} {name}"
    else:
        reason = str(packet.reason_code)
    assigned = packet.properties.assigned_client_identifier
    return [
        reason,
        "session present" if packet.session_present else "",
        f"client id {_name(assigned)}" if assigned is not None else "",
        _data(packet.properties.authentication_data),
    ]


def _publish(packet: Publish, protocol: int) -> list[str]:
    alias = packet.properties.topic_alias
    return [
        f"QoS {packet.qos}",
        f"id {packet.packet_id}" if packet.packet_id is not None else "",
        "DUP" if packet.dup else "",
        "RETAIN" if packet.retain else "",
        _name(packet.topic) if packet.topic or alias is None else "",
        f"alias {alias}" if alias is not None else "",
    ]


def _acknowledgement(packet: Puback | Pubrec | Pubrel | Pubcomp, protocol: int) -> list[str]:
    return [f"id {packet.packet_id}", _reason(packet.reason_code)]


def _subscribe(packet: Subscribe, protocol: int) -> list[str]:
    filters = [f"{_name(each.topic_filter)} QoS {each.qos}" for each in packet.filters]
    return [f"id {packet.packet_id}", *_several(filters)]


def _suback(packet: Suback, protocol: int) -> list[str]:
    codes = [f"QoS {code}" if code <= 2 else reason_name(code) for code in packet.reason_codes]
    return [f"id {packet.packet_id}", *_several(codes)]


def _unsubscribe(packet: Unsubscribe, protocol: int) -> list[str]:
    return [f"id {packet.packet_id}", *_several([_name(each) for each in packet.topic_filters])]


def _unsuback(packet: Unsuback, protocol: int) -> list[str]:
    codes = [reason_name(code) for code in packet.reason_codes] if any(packet.reason_codes) else []
    return [f"id {packet.packet_id}", *_several(codes)]


def _disconnect(packet: Disconnect, protocol: int) -> list[str]:
    return [_reason(packet.reason_code)]


def _auth(packet: Auth, protocol: int) -> list[str]:
    method = packet.properties.authentication_method
    return [
        reason_name(packet.reason_code),
        _method(method),
        _data(packet.properties.authentication_data),
    ]


def _reason(code: int) -> str:
    """Nothing for 0x00: that it went well needs no word on each arrow."""
    return reason_name(code) if code else ""


def _data(data: bytes | None) -> str:
    return f"data {len(data)} B" if data is not None else ""


def _several(items: list[str], most: int = 3) -> list[str]:
    """The first few of a list with commas, each on its own so that a line can break between them."""
    words = [f"{item}," for item in items[: most - 1]] + items[most - 1 : most]
    if len(items) < most and items:
        words[-1] = words[-1].removesuffix(",")
    more = len(items) - most
    return [*words, f"and {more} more"] if more > 0 else words


_DESCRIPTIONS: dict[type[Packet], Callable[[Any, int], list[str]]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _acknowledgement,
    Pubrec: _acknowledgement,
    Pubrel: _acknowledgement,
    Pubcomp: _acknowledgement,
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _unsuback,
    Disconnect: _disconnect,
    Auth: _auth,
}
