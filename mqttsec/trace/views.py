"""Views: what an observer of the run knows, what a filter leaves, and both as tables.

A view is a tuple of events, so that ladders, tables, captures and files work on it as on the whole
trace. Party names stand for network addresses: in the labs every party has one of its own.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mqttsec.errors import ProtocolError, TraceError
from mqttsec.packets import PacketType, Publish, decode
from mqttsec.trace.arrows import PACKET_KINDS, arrows
from mqttsec.trace.events import Event, EventKind
from mqttsec.trace.labels import packet_label, packet_name, printable

if TYPE_CHECKING:
    import pandas

_NETWORK_KINDS = PACKET_KINDS | {EventKind.OPENED, EventKind.CLOSED}


def parties_of(events: Iterable[Event]) -> tuple[str, ...]:
    """All parties, those that record and those that are only addressed, in order of appearance."""
    return tuple(dict.fromkeys(name for event in events for name in (event.party, event.peer) if name))


def seen_by(events: Iterable[Event], *parties: str) -> tuple[Event, ...]:
    """What `parties` know together: one client, a curious broker, or a set of colluders.

    They know what they recorded, and every packet in plain at their end of a connection, for TLS
    ends with them. They do not know what the network lost or what others did or derived. Where a
    packet of theirs was recorded by the other end alone (a foreign client or broker at their end),
    that event stands in, without what only the other end knows.
    Raises `TraceError` if a party does not occur in the trace.
    """
    events = tuple(events)
    known = parties_of(events)
    if not parties:
        raise TraceError("say whose view it is, for example seen_by(trace, 'broker')")
    for name in parties:
        if name not in known:
            there = ", ".join(known) or "nobody"
            raise TraceError(f"{name!r} does not occur in this trace; those who do: {there}")
    observers = frozenset(parties)
    # LOST is what the network records, under the sender's name.
    own_kinds = PACKET_KINDS - {EventKind.LOST}
    recorders = {(event.party, event.peer) for event in events if event.kind in own_kinds}
    lost_alone = {arrow.events[0] for arrow in arrows(events) if arrow.lost and len(arrow.events) == 1}
    view: list[Event] = []
    for event in events:
        if event.kind is EventKind.LOST:
            # That a packet was lost is known to the network alone; to its sender it was sent.
            if event.party in observers and event.number in lost_alone:
                view.append(dataclasses.replace(event, kind=EventKind.SENT, detail=""))
        elif event.party in observers:
            view.append(event)
        elif (
            event.peer in observers
            and event.kind in _NETWORK_KINDS
            and (event.peer, event.party) not in recorders
        ):
            view.append(_outside(event))
    return tuple(view)


def seen_on_network(events: Iterable[Event]) -> tuple[Event, ...]:
    """What a listener on the wire learns: every packet of plain connections; under TLS, sizes and times.

    A packet counts as protected if either end recorded it so. The size is the packet's own: TLS 1.3
    adds 22 bytes to each record and may put several packets into one (RFC 8446, 5.2).
    """
    events = tuple(events)
    protected = {
        number for arrow in arrows(events) if arrow.protected for number in arrow.events
    }
    view: list[Event] = []
    for event in events:
        if event.kind not in _NETWORK_KINDS:
            continue
        event = _outside(event)
        if event.number in protected:
            event = dataclasses.replace(event, packet=b"", protected=True, hidden_bytes=event.size)
        view.append(event)
    return tuple(view)


def _outside(event: Event) -> Event:
    """The event without what only its recorder knows."""
    return dataclasses.replace(event, detail="", fields=(), keys=(), operations=())


def select(
    events: Iterable[Event],
    *,
    party: str | Iterable[str] | None = None,
    peer: str | Iterable[str] | None = None,
    kind: EventKind | str | Iterable[EventKind | str] | None = None,
    packet_type: PacketType | str | Iterable[PacketType | str] | None = None,
    since: float | None = None,
    until: float | None = None,
) -> tuple[Event, ...]:
    """The events that meet all conditions; a condition may name one thing or several.

    `packet_type` is a `PacketType` or its name (`"PUBLISH"`); `since` and `until` are seconds of the
    trace, both included. Raises `TraceError` for a kind or packet type that there is not.
    """
    kinds = _choice(EventKind, kind)
    types = _choice(PacketType, packet_type)
    members, peers = _names(party), _names(peer)
    return tuple(
        event
        for event in events
        if (members is None or event.party in members)
        and (peers is None or event.peer in peers)
        and (kinds is None or event.kind in kinds)
        and (types is None or (event.packet and event.packet[0] >> 4 in types))
        and (since is None or event.time >= since)
        and (until is None or event.time <= until)
    )


def _names(wanted: str | Iterable[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset((wanted,) if isinstance(wanted, str) else wanted)


def _choice(of: Any, wanted: Any) -> frozenset[Any] | None:
    if wanted is None:
        return None
    chosen = set()
    for each in (wanted,) if isinstance(wanted, (str, int)) else wanted:
        if isinstance(each, of):
            chosen.add(each)
        elif isinstance(each, str) and each.upper() in of.__members__:
            chosen.add(of[each.upper()])
        else:
            raise TraceError(f"{each!r} is not one of {', '.join(member.name for member in of)}")
    return frozenset(chosen)


def trace_frame(events: Iterable[Event]) -> pandas.DataFrame:
    """One row an event, with what its packet says.

    Columns: number, time_s, kind, party, peer, connection, protocol, packet_type, size_bytes, topic,
    qos, retain, dup, packet_id, reason_code, payload_bytes (its length), payload (as text, or in
    hexadecimal if it is no UTF-8), label, detail, keys, protected. What does not apply is missing
    (`None` or `<NA>`). Needs pandas; raises `TraceError` without it.
    """
    pandas = _pandas()
    rows = [
        {
            "number": event.number, "time_s": event.time, "kind": event.kind.value, "party": event.party,
            "peer": event.peer, "connection": event.connection, "protocol": event.protocol,
            **_packet_columns(event.packet, event.protocol, event.hidden_bytes),
            "detail": event.detail, "keys": ", ".join(event.keys), "protected": event.protected,
        }
        for event in events
    ]
    columns = ["number", "time_s", "kind", "party", "peer", "connection", "protocol", *_PACKET_COLUMNS,
               "detail", "keys", "protected"]
    return _typed(pandas.DataFrame(rows, columns=columns))


def arrow_frame(events: Iterable[Event]) -> pandas.DataFrame:
    """One row a packet that travelled (an `Arrow`), with what it says.

    Columns: number, sender, receiver, sent_s, received_s, delay_ms, lost, protocol, and those of
    `trace_frame` from packet_type to label, note, protected. Needs pandas; raises `TraceError`
    without it.
    """
    pandas = _pandas()
    rows = [
        {
            "number": arrow.number, "sender": arrow.sender, "receiver": arrow.receiver,
            "sent_s": arrow.sent, "received_s": arrow.received,
            "delay_ms": None if arrow.delay is None else 1000 * arrow.delay,
            "lost": arrow.lost, "protocol": arrow.protocol,
            **_packet_columns(arrow.frame, arrow.protocol, arrow.hidden_bytes),
            "note": arrow.note, "protected": arrow.protected,
        }
        for arrow in arrows(events)
    ]
    columns = ["number", "sender", "receiver", "sent_s", "received_s", "delay_ms", "lost", "protocol",
               *_PACKET_COLUMNS, "note", "protected"]
    return _typed(pandas.DataFrame(rows, columns=columns))


_PACKET_COLUMNS = ("packet_type", "size_bytes", "topic", "qos", "retain", "dup", "packet_id", "reason_code",
                   "payload_bytes", "payload", "label")
_TYPES = {
    "time_s": "float64", "sent_s": "float64", "received_s": "float64", "delay_ms": "float64",
    "number": "int64", "connection": "int64", "protocol": "int64",
    "protected": "bool", "lost": "bool",
    "size_bytes": "Int64", "qos": "Int64", "packet_id": "Int64", "reason_code": "Int64",
    "payload_bytes": "Int64", "retain": "boolean", "dup": "boolean",
}


def _typed(table: pandas.DataFrame) -> pandas.DataFrame:
    return table.astype({name: kind for name, kind in _TYPES.items() if name in table.columns})


def _packet_columns(frame: bytes, protocol: int, hidden_bytes: int) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(_PACKET_COLUMNS)
    if not frame:
        if hidden_bytes:
            row.update(size_bytes=hidden_bytes, label=packet_label(b"", protocol, hidden_bytes))
        return row
    row.update(
        packet_type=packet_name(frame), size_bytes=len(frame), label=packet_label(frame, protocol)
    )
    try:
        packet = decode(frame, protocol)
    except ProtocolError:
        return row
    for name in ("packet_id", "reason_code"):
        row[name] = getattr(packet, name, None)
    if isinstance(packet, Publish):
        row.update(topic=packet.topic, qos=packet.qos, retain=packet.retain, dup=packet.dup,
                   payload_bytes=len(packet.payload), payload=payload_text(packet.payload))
    return row


def payload_text(payload: bytes) -> str:
    """A payload for the reader: as text if it is UTF-8, otherwise in hexadecimal."""
    try:
        return printable(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return payload.hex(" ")


def _pandas() -> Any:
    # Not at the top: importing pandas costs more than the rest of mqttsec together.
    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise TraceError("tables need pandas; install it with: pip install pandas") from error
