"""Network connections of a trace: which packets shared one, and who was the Client, who the Server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mqttsec.packets import PacketType
from mqttsec.trace.arrows import Arrow, arrows
from mqttsec.trace.events import Event, EventKind

_CLIENT_TYPES = frozenset({
    PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ,
})
_SERVER_TYPES = frozenset({
    PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP,
})

_End = tuple[str, int]
"""A party and a connection as it numbers its own."""


@dataclass(frozen=True)
class Connection:
    """One network connection and what travelled on it."""

    client: str
    """The party that opened it."""
    server: str
    """The broker that took it."""
    packets: tuple[Arrow, ...]
    """At least one, in the order recorded."""
    opened: float | None = None
    """Seconds since the trace began when it was opened, if that was recorded."""
    closed: float | None = None
    """Seconds when an end first closed it, if that was recorded."""
    closed_by: str = ""
    """The party that did."""

    @property
    def hidden(self) -> bool:
        """True if a packet on it cannot be read (a listener's view of TLS)."""
        return any(not arrow.frame for arrow in self.packets)


def connections(events: Iterable[Event]) -> tuple[Connection, ...]:
    """The network connections of `events` that carried packets, in the order of their first packet."""
    events = tuple(events)
    packets = arrows(events)
    other_end = _corresponding_ends(packets)
    groups: list[list[Arrow]] = []
    by_end: dict[_End, list[Arrow]] = {}
    latest: dict[frozenset[str], list[Arrow]] = {}
    for arrow in packets:
        pair = frozenset((arrow.sender, arrow.receiver))
        ends = [end for end in _ends(arrow) if end[1]]
        ends += [other_end[end] for end in ends if end in other_end]
        group = next((by_end[end] for end in ends if end in by_end), None)
        if group is None and not ends and not _is(arrow, PacketType.CONNECT):
            # [MQTT-3.1.0-1] "the first packet sent from the Client to the Server MUST be a CONNECT
            # packet": where nobody numbers connections, it tells where the next one begins.
            group = latest.get(pair)
        if group is None:
            group = []
            groups.append(group)
        latest[pair] = group
        for end in ends:
            by_end[end] = group
        group.append(arrow)
    opened: dict[int, float] = {}
    closed: dict[int, Event] = {}
    for event in events:
        of = by_end.get((event.party, event.connection))
        if of is not None and event.kind is EventKind.OPENED:
            opened.setdefault(id(of), event.time)
        elif of is not None and event.kind is EventKind.CLOSED:
            closed.setdefault(id(of), event)
    elsewhere = {name for name in map(_server, packets) if name}
    found = []
    for group in groups:
        client, server = _roles(group, elsewhere)
        ending = closed.get(id(group))
        found.append(Connection(
            client, server, tuple(group), opened.get(id(group)),
            None if ending is None else ending.time, "" if ending is None else ending.party,
        ))
    return tuple(found)


def servers_of(events: Iterable[Event]) -> tuple[str, ...]:
    """The brokers of a trace, in order of appearance."""
    return tuple(dict.fromkeys(connection.server for connection in connections(events)))


def _ends(arrow: Arrow) -> tuple[_End, _End]:
    return (arrow.sender, arrow.sender_connection), (arrow.receiver, arrow.receiver_connection)


def _corresponding_ends(packets: Iterable[Arrow]) -> dict[_End, _End]:
    """Both ends number a connection on their own; a packet that both recorded tells which is which."""
    found: dict[_End, _End] = {}
    for arrow in packets:
        one, other = _ends(arrow)
        if one[1] and other[1]:
            found[one], found[other] = other, one
    return found


def _is(arrow: Arrow, kind: PacketType) -> bool:
    return bool(arrow.frame) and arrow.frame[0] >> 4 == kind


def _server(arrow: Arrow) -> str:
    """Which of the two is the Server, if this packet tells; otherwise nothing."""
    kind = arrow.frame[0] >> 4 if arrow.frame else 0
    if kind in _CLIENT_TYPES:
        return arrow.receiver
    return arrow.sender if kind in _SERVER_TYPES else ""


def _roles(group: list[Arrow], elsewhere: set[str]) -> tuple[str, str]:
    first = group[0]
    both = (first.sender, first.receiver)
    told = next((name for name in map(_server, group) if name), "")
    known = next((name for name in both if name in elsewhere), "")
    # Who speaks first is the Client; under TLS, or in the middle of a connection, nothing else tells.
    server = told or known or ("broker" if "broker" in both else first.receiver)
    return (first.sender if server == first.receiver else first.receiver), server
