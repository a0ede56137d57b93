"""A network for a notebook cell: no `await`, virtual time that moves only while a call waits for it.

with LabNetwork(bridges=10, rtt=0.055) as net:
    net.client("reader", bridge=1)
    net.client("writer", bridge=2)
    net.subscribe("reader", "weather")
    net.publish("writer", "weather", "12.8")
    print(net.received("reader"), net.paths())
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from mqttsec.errors import ConfigurationError, MqttsecError
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.seen import Direction, Path, Seen
from mqttsec.net import VirtualClockLoop
from mqttsec.packets import Publish
from mqttsec.trace.events import Trace

T = TypeVar("T")

REAL_SECONDS = 120.0
"""So long a call may take, whatever the virtual clock says."""


class LabNetwork:
    """A `Network` in memory behind plain calls. The arguments are those of `Network`; `traced`: with events.

    It lives on a thread of its own with a virtual clock; the same calls give the same results every time.
    """

    def __init__(self, traced: bool = True, **options: Any) -> None:
        if options.get("sockets"):
            raise ConfigurationError(
                "a LabNetwork is in memory: for sockets use Network on the runtime's loop"
            )
        self._loop = VirtualClockLoop()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mqttsec network")
        self.trace: Trace | None = Trace(self._loop.time) if traced else None
        """The draws, as events."""
        self._received: dict[str, list[Publish]] = {}
        self.network = self._do(lambda: Network(trace=self.trace, **options))
        """The network itself; touch it inside `run` only."""
        self._open = False

    def _do(self, work: Callable[[], T]) -> T:
        """Run a plain function on the network's thread."""
        return self._thread.submit(work).result(REAL_SECONDS)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the network's loop until it is done; virtual time moves meanwhile.

        Raises what it raises, and `MqttsecError` when it takes too long in real time.
        """
        try:
            return self._thread.submit(self._loop.run_until_complete, work).result(REAL_SECONDS)
        except concurrent.futures.TimeoutError:
            raise MqttsecError(
                f"the network has not come to rest within {REAL_SECONDS:g} real seconds"
            ) from None

    def start(self) -> LabNetwork:
        """Start; returns itself."""
        if not self._open:
            self.run(self.network.start())
            self._open = True
        return self

    def close(self) -> None:
        """Stop everything; twice does no harm."""
        if self._open:
            self._open = False
            self.run(self.network.stop())
        if not self._loop.is_closed():
            self._do(self._end)
        self._thread.shutdown()

    def _end(self) -> None:
        tasks = self._loop.unfinished_tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self._loop.close()

    def __enter__(self) -> LabNetwork:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What a cell does --------------------------------------------------------------------------

    def client(self, name: str, bridge: int | str | None = None) -> None:
        """Connect a client to a bridge broker (or to "public1")."""
        box = self._received.setdefault(name, [])
        self.run(self.start().network.client(name, bridge, on_message=box.append))

    def publish(self, client: str, topic: str, payload: bytes | str = b"", qos: int = 2) -> Path:
        """Publish to T_F/`topic`, wait until all is at rest, give the path it took."""
        self.run(self._publish(client, topic, payload, qos))
        return self.paths()[-1]

    async def _publish(self, client: str, topic: str, payload: bytes | str, qos: int) -> None:
        await self.network.publish(self._client(client), topic, payload, qos)
        await self.network.settled()

    def subscribe(self, client: str, topic: str, qos: int = 2) -> Path:
        """Subscribe to T_F/`topic`, wait until all is at rest, give the path as it is."""
        self.run(self._subscribe(client, topic, qos))
        return [path for path in self.paths(Direction.SUBSCRIBE) if path.source == client][-1]

    async def _subscribe(self, client: str, topic: str, qos: int) -> None:
        await self.network.subscribe(self._client(client), topic, qos)
        await self.network.settled()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.run(asyncio.sleep(seconds))

    def kill(self, which: int | str) -> None:
        """Let a broker crash, and wait until the others have found new ways."""
        self.run(self._kill(which))

    async def _kill(self, which: int | str) -> None:
        await self.network.kill(which)
        await self.network.settled()

    # What there is to see ----------------------------------------------------------------------

    def received(self, client: str) -> list[Publish]:
        """What a client has got so far. Raises `ConfigurationError` for one that there is not."""
        if client not in self._received:
            raise ConfigurationError(f"there is no client {client!r}: connect it with client({client!r})")
        return list(self._received[client])

    def paths(self, direction: Direction | str = Direction.PUBLISH) -> list[Path]:
        """The paths of all messages, or of all subscriptions."""
        return self._do(lambda: self.network.paths(direction))

    def seen(self, *bridges: int | str) -> list[Seen]:
        """What these bridge brokers know together, or all."""
        return self._do(lambda: self.network.seen(bridges or None))

    @property
    def now(self) -> float:
        """Virtual time in seconds."""
        return self._loop.time()

    @property
    def complaints(self) -> list[str]:
        """What went wrong at the bridge brokers, in words."""
        return self._do(lambda: self.network.complaints)

    def _client(self, name: str) -> LightClient:
        try:
            return self.network.clients[name]
        except KeyError:
            raise ConfigurationError(
                f"there is no client {name!r}: connect it with client({name!r})"
            ) from None
