"""One direction of a connection over a memory link: a queue of segments and the times they arrive.

A `Pipe` carries one direction. What is written goes on its way at once while the window has
room, else it waits at the writer. A segment's time of arrival is decided when it sets off, by
the `LinkSettings` of the `Wire` it travels on and by the pipe's own random numbers, so that the
use of one link never changes what happens on another.

The pipe owns its queue. All pipes of a network share one `Post`, which wakes each of them when
the head of its queue is due: at equal times in the order in which the heads set off.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mqttsec.net.settings import LinkSettings, LossCause, OnLoss

_LONGEST_RETRANSMISSION = 60.0
"""RFC 6298 (2.5): "A maximum value MAY be placed on RTO provided it is at least 60 seconds"."""


class Kind(enum.IntEnum):
    """What a segment is for: TCP's flags, and a marker of our own."""

    DATA = 0
    SYN = 1
    SYN_ACK = 2
    REFUSED = 3
    ACK = 4
    """Completes the opening handshake; the listening end comes into being."""
    FIN = 5
    RESET = 6
    BREAK = 7
    """Bytes in which the link breaks; they never arrive, their time is when it happens."""


class Post:
    """Calls back at given times, first come first served, by a single timer of the loop.

    asyncio promises no order among timers of the same time; this keeps it on any loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now = loop.time()
        """The moment being served, for callbacks; never before the time they asked for."""
        self.horizon = 0
        """Requests numbered below this are served in the present round; later ones in the next."""
        self._next = 0
        self._requests: list[tuple[float, int, Callable[[int], None]]] = []
        self._timer: asyncio.Handle | None = None
        self._timer_when = math.inf

    def number(self) -> int:
        """Draw a place in the order of service."""
        self._next += 1
        return self._next

    def at(self, when: float, number: int, callback: Callable[[int], None]) -> None:
        """Call `callback(number)` at loop time `when`. A number is used once."""
        heapq.heappush(self._requests, (when, number, callback))
        if when < self._timer_when:
            self._set_timer(when)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_when = when
        if when <= self.loop.time():
            self._timer = self.loop.call_soon(self._serve)
        else:
            self._timer = self.loop.call_at(when, self._serve)

    def _serve(self) -> None:
        # Loops may call a timer a trifle early; what was asked for this time is due all the same.
        self.now = max(self.loop.time(), self._timer_when)
        self.horizon = self._next + 1
        # No request made meanwhile may replace the timer: it is set once, below.
        self._timer = None
        self._timer_when = -math.inf
        requests = self._requests
        try:
            while requests and requests[0][0] <= self.now and requests[0][1] < self.horizon:
                _, number, callback = heapq.heappop(requests)
                callback(number)
        finally:
            self._timer_when = math.inf
            if requests:
                self._set_timer(requests[0][0])


class Wire:
    """One direction between two hosts: its settings, and when the sender's line is free again."""

    __slots__ = ("free_at", "settings")

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self.free_at = 0.0


class Reader(Protocol):
    """The end at which a pipe's segments arrive."""

    def arrived(self, kind: Kind, data: bytes) -> None:
        """Take what has come; several segments of data come joined."""


class Writer(Protocol):
    """The end that writes into a pipe."""

    def drained(self) -> None:
        """Fewer bytes wait in the pipe than before."""


class Carrier(Protocol):
    """The connection that a pipe belongs to."""

    carried: int

    def broken(self) -> None:
        """The link broke under the connection."""

    def lost(self, pipe: Pipe, offset: int, data: bytes, cause: LossCause) -> None:
        """Bytes that were written to `pipe` will never arrive."""


class Pipe:
    """One direction of a connection, from the moment bytes are written until they are taken."""

    __slots__ = (
        "_acknowledgements", "_awaited", "_carrier", "_finishing", "_post", "_pumping", "_queue", "_random",
        "_seed", "_unacknowledged", "_wire", "_wire_back", "finished", "held", "last_arrival", "offset",
        "reader", "reordered", "retransmitted", "unsent", "writer", "written",
    )  # fmt: skip

    def __init__(self, post: Post, carrier: Carrier, wire: Wire, wire_back: Wire, seed: str) -> None:
        self._post = post
        self._carrier = carrier
        self._wire = wire
        self._wire_back = wire_back
        self._seed = seed
        self._random: random.Random | None = None
        self._queue: deque[tuple[float, int, Kind, bytes]] = deque()
        self._awaited = 0
        self._unacknowledged = 0
        self._acknowledgements: deque[tuple[float, int]] | None = None
        self._pumping = False
        self._finishing = False
        self.reader: Reader | None = None
        """Set before the first segment sets off."""
        self.writer: Writer | None = None
        """Who is told when waiting bytes have left; None until the connection is open."""
        self.unsent = bytearray()
        """Bytes that wait at the writer because the window is full."""
        self.written = 0
        """All bytes that were ever written."""
        self.offset = 0
        """How many of them were taken, or lost, so far: the position of the next."""
        self.finished = False
        """True when the last byte has set off and the FIN or RESET after it."""
        self.held = False
        """True while a partition keeps everything from arriving."""
        self.last_arrival = 0.0
        self.retransmitted = 0
        """Transmissions that were lost and repeated."""
        self.reordered = 0
        """Segments that took a detour."""

    def send(self, data: bytes) -> None:
        """Write bytes: they set off at once if there is room."""
        self.written += len(data)
        settings = self._wire.settings
        size = len(data)
        if not self.unsent and settings.is_plain and self._unacknowledged + size <= settings.window:
            # The common case, without a copy: a whole write sets off as one segment.
            self._unacknowledged += size
            self._set_off(data, settings)
            return
        self.unsent += data
        self._pump()

    def signal(self, kind: Kind) -> None:
        """Send a segment without data, now."""
        if kind in (Kind.FIN, Kind.RESET):
            self.finished = True
        self._enqueue(kind, b"", self._arrival(0))

    def finish(self) -> None:
        """Send a FIN after what still waits; once."""
        if self.finished or self._finishing:
            return
        self._finishing = True
        self._pump()

    def abandon(self, cause: LossCause) -> None:
        """Forget what has not set off."""
        self.finished = True
        unsent, self.unsent = bytes(self.unsent), bytearray()
        if unsent:
            self._carrier.lost(self, self.written - len(unsent), unsent, cause)

    def discard(self, data: bytes, cause: LossCause) -> None:
        """Note that bytes which had arrived were not taken."""
        position, self.offset = self.offset, self.offset + len(data)
        self._carrier.lost(self, position, data, cause)

    def refuse(self, data: bytes) -> None:
        """Note bytes that were written after the end."""
        position, self.written = self.written, self.written + len(data)
        self._carrier.lost(self, position, data, LossCause.ABORTED)

    def drop_everything(self) -> bytes:
        """Take out and return all bytes that have not arrived, in order; nothing arrives any more."""
        lost = b"".join([data for _, _, _, data in self._queue]) + bytes(self.unsent)
        self._queue.clear()
        self.unsent = bytearray()
        self.finished = True
        return lost

    def taken(self, size: int) -> None:
        """The reader took `size` bytes: the writer learns of it after the way back."""
        self.offset += size
        way_back = self._wire_back.settings.delay
        if not way_back and not self.unsent:
            self._unacknowledged -= size
            return
        if self._acknowledgements is None:
            self._acknowledgements = deque()
        self._acknowledgements.append((self._post.loop.time() + way_back, size))
        self._pump_later()

    def hold(self) -> None:
        """Keep everything that has not arrived, until `release`."""
        self.held = True
        self._retime()

    def release(self) -> None:
        """Send everything that was kept once more."""
        self.held = False
        self.last_arrival = 0.0
        self._retime()

    def _retime(self) -> None:
        # In place: _arrive() may be going through this very queue.
        kept = list(self._queue)
        self._queue.clear()
        for _, _, kind, data in kept:
            self._enqueue(kind, data, self._arrival(len(data)))

    def _pump(self, _: int = 0) -> None:
        """Let waiting bytes set off, as many as the window has room for."""
        self._count_acknowledgements()
        settings = self._wire.settings
        largest = settings.window if settings.is_plain else settings.segment
        unsent = self.unsent
        while unsent:
            size = min(len(unsent), largest, settings.window - self._unacknowledged)
            if size <= 0:
                break
            data = bytes(unsent[:size])
            del unsent[:size]
            self._unacknowledged += size
            self._set_off(data, settings)
        if unsent:
            self._pump_later()
        elif self._finishing and not self.finished:
            self.signal(Kind.FIN)

    def _pump_later(self) -> None:
        """A full window opens with the next acknowledgement; nobody waits for it otherwise."""
        if self.unsent and self._acknowledgements and not self._pumping:
            self._pumping = True
            self._post.at(self._acknowledgements[0][0], self._post.number(), self._acknowledged)

    def _acknowledged(self, _: int) -> None:
        self._pumping = False
        self._pump()
        if self.writer is not None:
            self.writer.drained()

    def _count_acknowledgements(self) -> None:
        acknowledgements = self._acknowledgements
        if acknowledgements:
            now = max(self._post.loop.time(), self._post.now)
            while acknowledgements and acknowledgements[0][0] <= now:
                self._unacknowledged -= acknowledgements.popleft()[1]

    def _set_off(self, data: bytes, settings: LinkSettings) -> None:
        """Send one segment of data on its way, or into the break of the link."""
        carrier = self._carrier
        carrier.carried += len(data)
        if settings.break_after is not None and carrier.carried > settings.break_after:
            arriving = max(0, len(data) - (carrier.carried - settings.break_after))
            if arriving:
                self._enqueue(Kind.DATA, data[:arriving], self._arrival(arriving))
            self._enqueue(Kind.BREAK, data[arriving:], self._arrival(len(data) - arriving))
        elif settings.loss and settings.on_loss is OnLoss.BREAK and self._draw() < settings.loss:
            self._enqueue(Kind.BREAK, data, self._arrival(len(data)))
        else:
            self._enqueue(Kind.DATA, data, self._arrival(len(data)))

    def _draw(self) -> float:
        # Seeded only when first needed: a generator takes 2.5 kB, a perfect link none.
        if self._random is None:
            self._random = random.Random(self._seed)
        return self._random.random()

    def _arrival(self, size: int) -> float:
        """When a segment that sets off now will arrive (never, while the link is held)."""
        if self.held:
            return math.inf
        wire = self._wire
        settings = wire.settings
        arrival = self._post.loop.time()
        if settings.bandwidth is not None:
            arrival = wire.free_at = max(arrival, wire.free_at) + size / settings.bandwidth
        arrival += settings.delay
        if settings.jitter:
            arrival += settings.jitter * self._draw()
        if settings.loss and settings.on_loss is OnLoss.RETRANSMIT:
            wait = settings.retransmit_after
            while self._draw() < settings.loss:
                self.retransmitted += 1
                arrival += wait
                wait = min(2 * wait, max(_LONGEST_RETRANSMISSION, settings.retransmit_after))
        if settings.reorder and self._draw() < settings.reorder:
            self.reordered += 1
            arrival += settings.reorder_delay
        # A stream: what is late makes everything behind it wait.
        self.last_arrival = max(arrival, self.last_arrival)
        return self.last_arrival

    def _enqueue(self, kind: Kind, data: bytes, arrival: float) -> None:
        self._queue.append((arrival, self._post.number(), kind, data))
        if len(self._queue) == 1:
            self._await_head()

    def _await_head(self) -> None:
        if self._queue:
            arrival, number, _, _ = self._queue[0]
            if arrival != math.inf and number != self._awaited:
                self._awaited = number
                self._post.at(arrival, number, self._arrive)

    def _arrive(self, number: int) -> None:
        """Hand over what is due: data that arrives together is handed over together."""
        queue, post = self._queue, self._post
        if not queue or queue[0][1] != number:
            return  # The connection was cut or the link held since this was asked for.
        run: list[bytes] = []
        while queue and queue[0][0] <= post.now and queue[0][1] < post.horizon:
            kind, data = queue[0][2:]
            if kind is Kind.DATA:
                queue.popleft()
                run.append(data)
                continue
            if run:
                self._hand_over(Kind.DATA, b"".join(run))
                run.clear()
                continue  # Whoever took it may have cut the connection: look again.
            if kind is Kind.BREAK:
                self._carrier.broken()
                break
            queue.popleft()
            self._hand_over(kind, b"")
        if run:
            self._hand_over(Kind.DATA, b"".join(run) if len(run) > 1 else run[0])
        self._await_head()

    def _hand_over(self, kind: Kind, data: bytes) -> None:
        # Looked up every time: the ACK that opens the listening end makes it the reader.
        assert self.reader is not None
        self.reader.arrived(kind, data)
