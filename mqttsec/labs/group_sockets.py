"""Lab 05 over sockets: a member leaves, and tries what it recorded of the next message."""

from __future__ import annotations

from collections.abc import Callable

from mqttsec.crypto import Operation
from mqttsec.e2e import Setup
from mqttsec.labs.key_search import keys_in_memory, try_open
from mqttsec.labs.over_sockets import SocketCompany
from mqttsec.labs.station import BROKER, RECEIVERS, STATION, TOPIC
from mqttsec.widgets.table import Cell, Table

_STAYING, _LEAVER = RECEIVERS[:2], RECEIVERS[2]


def leave_over_sockets(setup: Setup, message: bytes) -> Table:
    """Three paho clients join, a message, one leaves, a message: what each event costs, and who reads what.

    Who left tries every key that it ever had on the bytes that went to the others.
    Raises `ConnectionFailed`, `HandshakeError` or `TimedOut`.
    """
    rows: list[tuple[Cell, ...]] = []
    with SocketCompany(setup, STATION, TOPIC) as company:

        def event(words: str, happens: Callable[[], dict[str, bytes] | None]) -> None:
            before = company.tallies()
            opened = happens() or {}
            after = company.tallies()
            wraps = [(after[party] - before[party])[Operation.WRAP] for party in (STATION, BROKER)]
            read = {name: "reads it" for name, text in opened.items() if text == message}
            if opened and _LEAVER not in opened:
                recorded = company.messages_of(BROKER)[-1]
                tried = try_open(setup, kept, *recorded).message
                read[_LEAVER] = "reads it" if tried == message else "-"
            rows.append((words, *wraps, *(read.get(name, "") for name in (*_STAYING, _LEAVER))))

        for name in (*_STAYING, _LEAVER):
            event(f"{name} joins", lambda name=name: company.join(name))  # type: ignore[misc]
        event("message 1", lambda: company.publish(message))
        kept = keys_in_memory(company.subscribers[_LEAVER].end.machine)
        event(f"{_LEAVER} leaves", lambda: company.leave(_LEAVER))
        event("message 2", lambda: company.publish(message))
    title = f"Scheme {setup.scheme}, {setup.profile.value}, over TCP on 127.0.0.1: paho clients"
    return Table(("event", "wraps P", "wraps B", *_STAYING, _LEAVER), tuple(rows), title)
