"""Who sees what of a run: the broker, a subscriber, a listener on the network, with TLS and without.

All of it is read from the packets that each observer has, by the same decoder that the broker uses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from mqttsec.errors import ConfigurationError, ProtocolError
from mqttsec.labs.weather_run import BROKER
from mqttsec.packets import Connect, Packet, Publish, Subscribe, decode
from mqttsec.trace import (
    Arrow,
    Event,
    Trace,
    arrows,
    packet_name,
    parties_of,
    payload_text,
    seen_by,
    seen_on_network,
)
from mqttsec.widgets.table import Cell, Table

LISTENER = "listener"
LISTENER_TLS = "listener with TLS"
EVERYBODY = "everybody"


def under_tls(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same run as if every connection had been under TLS: what the ends know does not change."""
    return tuple(dataclasses.replace(event, protected=True) for event in events)


def views(trace: Trace) -> dict[str, tuple[Event, ...]]:
    """The run through each pair of eyes, by the observer's name."""
    clients = [name for name in parties_of(trace) if name != BROKER]
    return {
        EVERYBODY: tuple(trace),
        BROKER: seen_by(trace, BROKER),
        **{name: seen_by(trace, name) for name in sorted(clients)},
        LISTENER: seen_on_network(trace),
        LISTENER_TLS: seen_on_network(under_tls(trace)),
    }


def view(trace: Trace, observer: str) -> tuple[Event, ...]:
    """The run as one observer sees it. Raises `ConfigurationError` for one who is not there."""
    all_views = views(trace)
    if observer not in all_views:
        raise ConfigurationError(f"nobody here is called {observer!r}; ask for {', '.join(all_views)}")
    return all_views[observer]


def packet_table(events: Iterable[Event], title: str = "") -> Table:
    """One row a packet of a view: its time, its way, its length, and what can be read of it."""
    rows: list[tuple[Cell, ...]] = []
    for arrow in arrows(events):
        packet = readable(arrow)
        name = packet_name(arrow.frame) if arrow.frame else "?"
        said = (packet.topic, payload_text(packet.payload)) if isinstance(packet, Publish) else ("", "")
        rows.append((arrow.number, arrow.time, arrow.sender, arrow.receiver, arrow.size, name, *said))
    columns = ("packet", "time s", "from", "to", "bytes", "type", "topic", "payload")
    return Table(columns, tuple(rows), title)


def readable(arrow: Arrow) -> Packet | None:
    """The packet, if the observer can read it and it is well formed."""
    if not arrow.frame:
        return None
    try:
        return decode(arrow.frame, arrow.protocol)
    except ProtocolError:
        return None


def who_sees_what(trace: Trace) -> Table:
    """One row an observer: how many packets there are for it, and how much of them it can read."""
    rows = [(name, *_counts(events)) for name, events in views(trace).items() if name != EVERYBODY]
    columns = ("observer", "packets", "readable", "topics", "payloads", "subscriptions", "passwords")
    return Table(columns, tuple(rows))


def _counts(events: Iterable[Event]) -> tuple[int, int, int, int, int, int]:
    packets = arrows(events)
    found = [(arrow, packet) for arrow in packets if (packet := readable(arrow)) is not None]
    topics: set[str] = set()
    payloads: set[tuple[str, bytes]] = set()
    subscriptions: set[tuple[str, str]] = set()
    passwords: set[tuple[str, bytes]] = set()
    for arrow, packet in found:
        if isinstance(packet, Publish):
            topics.add(packet.topic)
            payloads.add((packet.topic, packet.payload))
        elif isinstance(packet, Subscribe):
            subscriptions |= {(arrow.sender, each.topic_filter) for each in packet.filters}
        elif isinstance(packet, Connect) and packet.password is not None:
            passwords.add((arrow.sender, packet.password))
    return len(packets), len(found), len(topics), len(payloads), len(subscriptions), len(passwords)


def logins(events: Iterable[Event]) -> Table:
    """The CONNECT packets of a view: who logs in, and with what."""
    rows: list[tuple[Cell, ...]] = []
    for arrow in arrows(events):
        packet = readable(arrow)
        if isinstance(packet, Connect):
            password = "" if packet.password is None else payload_text(packet.password)
            rows.append((arrow.number, packet.client_id, packet.username or "", password))
    return Table(("packet", "client id", "user name", "password"), tuple(rows))
