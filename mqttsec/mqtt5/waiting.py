"""What one connection waits for: work that others decide on, and the packets that are held back meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import inbound
from mqttsec.mqtt5.expect import Expect
from mqttsec.mqtt5.faults import report_fault
from mqttsec.packets import ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection


class Waiting:
    """The tasks of one connection. Most connections have one at CONNECT and none ever after."""

    __slots__ = ("_again", "_connection", "_held", "_loop", "held_bytes", "task")

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self.task: asyncio.Task[None] | None = None
        """Work that holds the client's next packets back, while there is any."""
        self._connection = connection
        self._loop = loop
        self._again: asyncio.Task[None] | None = None
        self._held: deque[bytes] = deque()
        self.held_bytes = 0
        """Bytes of the packets that are held back."""

    def start(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Do `work(*args)`; packets that come meanwhile are held back, in order."""
        self.task = self._loop.create_task(self._finish(work, *args))

    def start_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that may wait while packets go on being handled."""
        self._again = self._loop.create_task(work)

    @property
    def goes_on_beside(self) -> bool:
        """True while what `start_beside` began is not over."""
        return self._again is not None and not self._again.done()

    def hold(self, frame: bytes) -> None:
        """Keep a packet until the work is done. Raises `ProtocolError` when there is too much to keep."""
        self._held.append(frame)
        self.held_bytes += len(frame)
        # 3.1.4: "Clients need not wait for a CONNACK"; what they send before it has to wait, within bounds.
        if self.held_bytes > self._connection.broker.settings.maximum_packet_size:
            raise ProtocolError("too much was sent before the answer", ReasonCode.QUOTA_EXCEEDED)

    async def _finish(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        connection = self._connection
        try:
            await work(*args)
        except ProtocolError as error:
            connection.refuse(error)
        except Exception as error:
            # Only what belongs to others waits, and theirs is the fault: a plugin, for example.
            report_fault("what a packet waited for", connection.peer, error)
            connection.refuse(ProtocolError("the broker failed", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR))
        finally:
            self.task = None
        connection.broker.begin_batch()
        try:
            while self._held and self.task is None and connection.expects is not Expect.NOTHING:
                frame = self._held.popleft()
                self.held_bytes -= len(frame)
                inbound.handle(connection, frame)
        except ProtocolError as error:
            connection.refuse(error)
        finally:
            connection.broker.end_batch()
        transport = connection.transport
        if self.task is None and transport is not None and not transport.is_closing():
            transport.resume_reading()

    def give_up(self) -> None:
        """The connection ends: forget the packets and cancel the work."""
        self._held.clear()
        # A task may be what closes the connection; that one goes to its end.
        for task in (self.task, self._again):
            if task is not None and task is not asyncio.current_task(self._loop):
                task.cancel()
