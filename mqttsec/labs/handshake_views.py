"""Lab 02's tables: who holds which key, who reads what, what has been reached, and a packet's fields.

All of them are the same in every run: names and sizes are shown, keys and signatures never.
"""

from __future__ import annotations

from mqttsec.e2e import explain
from mqttsec.e2e.attacks import INSIDER, Adversary
from mqttsec.e2e.company import PUBLISHER
from mqttsec.e2e.exchange import NETWORK, SUBSCRIBER, Exchange, Flight
from mqttsec.e2e.guarantees import GUARANTEES, Standing, find
from mqttsec.e2e.knowledge import Holding, reads
from mqttsec.e2e.setup import BROKER
from mqttsec.e2e.terms import KeyName
from mqttsec.errors import MalformedPacketError
from mqttsec.packets import FieldRow
from mqttsec.packets import explain as explain_packet
from mqttsec.widgets.table import Cell, Table

_LONG = 8
"""Bytes; what is longer and no text is shown by its length."""


def keys_table(exchange: Exchange, position: int) -> Table:
    """Which keys each party holds now, by name; `differs` where two that should be one are not."""
    company = exchange.company
    parties = (PUBLISHER, BROKER, SUBSCRIBER, INSIDER, NETWORK)
    rows: list[tuple[Cell, ...]] = []
    for key in KeyName:
        held = {party: _held(exchange, party, key) for party in parties}
        first = next((holding for holding in held.values() if holding is not None), None)
        rows.append((key.value, *(_shown(held[party], first) for party in parties)))
    title = f"keys after packet {position}" + (
        f"; {INSIDER} joined like bob" if INSIDER in company.subscribers else ""
    )
    return Table(("key", *parties), tuple(rows), title)


def _held(exchange: Exchange, party: str, key: KeyName) -> Holding | None:
    if key.is_group:
        return find(exchange, party, key, "")
    ends = {KeyName.K_PB: (PUBLISHER, BROKER), KeyName.K_BS: (BROKER, SUBSCRIBER)}
    one, other = ends.get(key, (PUBLISHER, SUBSCRIBER))
    if party not in (one, other):
        return None
    return find(exchange, party, key, other if party == one else one)


def reads_table(exchange: Exchange) -> Table:
    """Who can read the messages so far, tried with the keys that each has now."""
    parties = (BROKER, SUBSCRIBER, INSIDER, NETWORK)
    rows: list[tuple[Cell, ...]] = []
    for sender, receiver, packet in exchange.on_wire:
        found = (reads(exchange.company, party, packet.topic, packet.payload) for party in parties)
        texts = ("" if text is None else text.decode(errors="replace") for text in found)
        rows.append((f"{sender} to {receiver}", len(packet.payload), *texts))
    return Table(("message", "bytes", *parties), tuple(rows), "who reads what, tried")


def guarantees_table(exchange: Exchange, position: int) -> Table:
    """What has been reached so far, and which attacks of ours break it under this profile."""
    rows = []
    for each in GUARANTEES:
        standing = each.standing(exchange)
        reached = standing not in (Standing.NOT_YET, Standing.HALF)
        found = [each.broken_by(adversary, exchange.company.setup) for adversary in Adversary]
        rows.append((each.text, standing.value, *(_counted(names) if reached else "" for names in found)))
    columns = ("guarantee", "now", *(adversary.value for adversary in Adversary))
    title = f"{exchange.company.setup.profile.value}, after packet {position}; right: attacks that break it"
    return Table(columns, tuple(rows), title)


def _counted(names: tuple[str, ...]) -> str:
    return "none" if not names else f"{len(names)} attack{'s' * (len(names) > 1)}"


def _shown(holding: Holding | None, first: Holding | None) -> str:
    if holding is None or first is None:
        return ""
    return "has it" if holding.same_as(first) else "differs"


def packet_rows(flight: Flight) -> list[tuple[Cell, ...]]:
    """(offset in the packet, bytes, field, value): MQTT's fields, and the message's below its carrier."""
    rows: list[tuple[Cell, ...]] = []
    for row in explain_packet(flight.frame):
        if not row.length or row.name == "Property identifier":
            continue
        begin = row.offset + _CARRIERS.get(row.name, 0)
        carries = row.name in _CARRIERS and flight.frame[begin : row.offset + row.length] == flight.carried
        inside = _inside(flight.carried, begin) if carries else []
        # What else may carry a message holds bytes that differ from run to run.
        opaque = "its fields:" if inside else "..."
        rows.append((row.offset, row.length, row.name, opaque if row.name in _CARRIERS else row.value))
        rows += inside
    return rows


_CARRIERS = {"Authentication Data": 2, "Correlation Data": 2, "Application Message": 0}
"""Fields that carry a message, and the bytes of the length in front of it."""


def _inside(carried: bytes, begin: int) -> list[tuple[Cell, ...]]:
    """The fields of a message that begins there; nothing if it is none of a scheme."""
    try:
        inside = explain(carried)
    except MalformedPacketError:
        return []
    return [
        (begin + row.offset, row.length, f"  {row.name}", _value(row, carried))
        for row in inside
        if not row.name.startswith("length of")
    ]


def _value(row: FieldRow, carried: bytes) -> str:
    if row.name == "kind":
        return row.meaning
    if row.name.startswith("sequence"):
        return str(int.from_bytes(carried[row.offset : row.offset + row.length], "big"))
    # A timestamp has 8 bytes, and is the same in every run; what is longer never is, unless it is text.
    is_fresh = row.length > _LONG and not row.value.startswith("'")
    return "..." if is_fresh or row.name.startswith(("key_id", "under")) else row.value
