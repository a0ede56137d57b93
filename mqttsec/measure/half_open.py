"""Thousands of handshakes that begin and never go on: what the broker holds, and what it costs.

Each is the CONNECT of a subscriber with a valid certificate, for a publisher that never comes; its client
then says nothing more. Twice: first all under one name, as with one stolen certificate, then under many
names. Meanwhile somebody who means it connects. What is counted is what a client sees: AUTH is a place in
the waiting room, CONNACK 0x89 a refusal.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mqttsec.crypto import Identity, TrustAnchor
from mqttsec.e2e import Party, Role, Setup, Subscriber
from mqttsec.e2e.memory_parties import MemoryPublisher, MemorySubscriber
from mqttsec.errors import ConnectionFailed
from mqttsec.measure import peers
from mqttsec.measure.figures import Figure
from mqttsec.packets import Auth, Connack, Connect, PacketType, Properties, Splitter, decode, encode

PART = "half-open"

HELD = "AUTH"
"""The first word to a handshake that has a place."""

NOBODY = "nobody"
"""The publisher that never comes."""

TOPIC = "weather/seattle"

Note = Callable[[str, float, str], None]
"""note(what, value, unit) enters a figure."""

AT_A_TIME = 100
"""How many of the flood connect at the same moment."""

ANSWER = 30.0
"""Seconds within which the broker must have answered or closed."""


@dataclass(frozen=True)
class Crowd:
    """Who takes part in the flood."""

    thief: Identity
    """One name that floods alone."""
    many: Sequence[Identity]
    """Many names; each begins as many handshakes as one name may have."""
    reader: Identity
    """A subscriber that means it."""
    station: Identity
    """Its publisher."""


@dataclass
class Room:
    """The broker's waiting room, seen from outside: who has had AUTH and is not closed yet."""

    now: int = 0
    """How many are in it."""
    most: int = 0
    """How many were in it at the same time, at most."""

    def enter(self) -> None:
        """One more."""
        self.now += 1
        self.most = max(self.most, self.now)


class Line(asyncio.Protocol):
    """A connection that sends one CONNECT and never anything else."""

    def __init__(self, frame: bytes, room: Room) -> None:
        loop = asyncio.get_running_loop()
        self._frame = frame
        self._room = room
        self._splitter = Splitter(1 << 20)
        self.answer: asyncio.Future[str] = loop.create_future()
        """The first packet: `AUTH`, or `CONNACK 0x89`; `closed` where none came."""
        self.closed: asyncio.Future[str] = loop.create_future()
        """The last packet, once the broker has closed."""
        self._last = "closed"
        self._inside = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._frame)

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.iterate(data):
            packet = decode(frame, from_client=False)
            assert isinstance(packet, (Auth, Connack)), "nothing else comes before the end of a handshake"
            code = "" if packet.packet_type is PacketType.AUTH else f" 0x{packet.reason_code:02X}"
            self._last = f"{packet.packet_type.name}{code}"
            if not self.answer.done():
                self.answer.set_result(self._last)
                if self._last == HELD:
                    self._room.enter()
            elif self.answer.result() == HELD:
                # The CONNACK with which it is put out comes before the end of the connection.
                self._leave()

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._room.now -= 1

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer.done() and self.answer.result() == HELD:
            self._leave()
        for outcome in (self.answer, self.closed):
            if not outcome.done():
                outcome.set_result(self._last)

    def drop(self) -> None:
        """Close without a word."""
        self._transport.close()


def connects(setup: Setup, trust: TrustAnchor, who: Sequence[Identity], count: int) -> list[bytes]:
    """So many CONNECTs, by each of `who` in turn: made before the flood, since making one takes its time."""
    parties = [Party(Role.S, identity, trust, setup) for identity in who]
    frames = []
    for number in range(count):
        party = parties[number % len(parties)]
        data = Subscriber(party).request(NOBODY, TOPIC).encode()
        about = Properties(authentication_method=setup.method, authentication_data=data)
        frames.append(encode(Connect(party.name, True, 0, properties=about)))
    return frames


async def flood(port: int, frames: Sequence[bytes], room: Room) -> list[Line]:
    """Open all, and wait for the broker's first word to each. Raises `ConnectionFailed`."""
    loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(AT_A_TIME)

    async def one(frame: bytes) -> Line:
        async with turn:
            _, line = await loop.create_connection(lambda: Line(frame, room), peers.HOST, port)
            await asyncio.wait_for(asyncio.shield(line.answer), ANSWER)
            return line

    try:
        return list(await asyncio.gather(*map(one, frames)))
    except (OSError, asyncio.TimeoutError) as error:
        raise ConnectionFailed(f"a CONNECT of the flood was not answered: {error!r}") from error


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measure(
    port: int, pid: int, setup: Setup, trust: TrustAnchor, crowd: Crowd, count: int
) -> list[Figure]:
    """The whole story on a broker that runs as process `pid` on `port`.

    Raises `ConnectionFailed`, `HandshakeError`.
    """
    rows: list[Figure] = []

    def note(what: str, value: float, unit: str) -> None:
        rows.append(Figure(PART, what, 1, value, unit))

    async def reader_joins(what: str) -> None:
        reader = MemorySubscriber(crowd.reader, trust, setup, host=peers.HOST, port=port)
        began = time.perf_counter()
        try:
            await reader.subscribe(crowd.station.name, TOPIC)
        except ConnectionFailed as error:
            note(f"{what}: a subscriber is refused, 0x{error.reason_code or 0:02X}", 1, "connections")
            return
        note(f"{what}: a subscriber joins", time.perf_counter() - began, "s")
        await station.publish(TOPIC, "12.8")
        await reader.message()
        await reader.close()

    station = MemoryPublisher(crowd.station, trust, setup, host=peers.HOST, port=port)
    await station.connect()
    await reader_joins("before")

    room = Room()
    lines = await flood(port, connects(setup, trust, [crowd.thief], count), room)
    _count(note, "one name", lines, room)
    await reader_joins("one name floods")
    await _closed(note, "one name", lines)

    frames = connects(setup, trust, crowd.many, count)
    before = resident(pid)
    began = time.perf_counter()
    room = Room()
    lines = await flood(port, frames, room)
    note("many names: all have begun after", time.perf_counter() - began, "s")
    _count(note, "many names", lines, room)
    if room.now:
        note("many names: memory for each that is held", (resident(pid) - before) / room.now, "bytes")
    again = MemoryPublisher(crowd.station, trust, setup, host=peers.HOST, port=port)
    began = time.perf_counter()
    await station.close()
    await again.connect()
    note("many names flood: a publisher connects", time.perf_counter() - began, "s")
    station = again
    await reader_joins("many names flood")
    await _closed(note, "many names", lines)
    await reader_joins("after")
    note("memory after the flood, against before", resident(pid) - before, "bytes")

    # If anything of the first were left, as many could not be held again.
    room = Room()
    lines = await flood(port, connects(setup, trust, crowd.many, count), room)
    _count(note, "once more", lines, room)
    await _closed(note, "once more", lines)
    note("memory after the second flood, against before", resident(pid) - before, "bytes")
    await station.close()
    return rows


def _count(note: Note, phase: str, lines: Sequence[Line], room: Room) -> None:
    outcomes = Counter(line.answer.result() for line in lines)
    note(f"{phase}: begun", len(lines), "connections")
    # On a slow machine the first are put out before the last have begun: what counts is at the same time.
    note(f"{phase}: held at the same time", room.most, "connections")
    for outcome, number in sorted(outcomes.items()):
        meaning = {HELD: "held at some time", "CONNACK 0x89": "refused at once, 0x89 Server busy"}
        note(f"{phase}: {meaning.get(outcome, outcome)}", number, "connections")


async def _closed(note: Note, phase: str, lines: Sequence[Line]) -> None:
    """Wait until the broker has closed every line by itself."""
    began = time.perf_counter()
    pending = [line.closed for line in lines if not line.closed.done()]
    if pending:
        await asyncio.wait(pending, timeout=ANSWER)
    left = sum(not line.closed.done() for line in lines)
    note(f"{phase}: closed by the broker after", time.perf_counter() - began, "s")
    note(f"{phase}: left after the time limit", left, "connections")
    for line in lines:
        line.drop()
