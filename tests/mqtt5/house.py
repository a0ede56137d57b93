"""A broker on a memory network under the virtual clock, and clients of which a test sees every packet.

Waiting costs nothing here, so silence is shown by waiting for seconds, and no test depends on speed.
When a test ends, nothing of the broker may be left: no connection, no task, no timer's surprise, no word
in the log that the test did not announce.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mqttsec.mqtt5 import AuthenticationMethod, Broker, BrokerSettings
from mqttsec.net import LinkSettings, MemoryNetwork, VirtualClockLoop, run_virtual
from mqttsec.packets import (
    MQTT_5,
    NO_PROPERTIES,
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    Will,
    decode,
    encode,
)
from mqttsec.trace.events import Trace

P = TypeVar("P", bound=Packet)
ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
EXTERNAL = {"default": {"type": "external"}}


class Client(asyncio.Protocol):
    """One connection to the broker."""

    def __init__(self, protocol: int = MQTT_5) -> None:
        self.protocol = protocol
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Queue[Packet | None] = asyncio.Queue()
        self._aside: list[Packet] = []
        self._splitter = Splitter()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            self.waiting.put_nowait(decode(frame, self.protocol, from_client=False))

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.waiting.put_nowait(None)

    def send(self, *packets: Packet | bytes) -> None:
        """All in one write."""
        assert self.transport is not None
        frames = [part if isinstance(part, bytes) else encode(part, self.protocol) for part in packets]
        self.transport.write(b"".join(frames))

    async def recv(self, seconds: float = 30.0) -> Packet | None:
        """The next packet; None when the broker has closed."""
        if self._aside:
            return self._aside.pop(0)
        return await asyncio.wait_for(self.waiting.get(), seconds)

    async def expect(self, kind: type[P], seconds: float = 30.0, **fields: object) -> P:
        packet = await self.recv(seconds)
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        for name, value in fields.items():
            assert getattr(packet, name) == value, f"{packet}: {name} is not {value!r}"
        return packet

    async def closed(self) -> list[Packet]:
        """What comes before the broker closes, which it does within a minute."""
        before = []
        while (packet := await self.recv(60.0)) is not None:
            before.append(packet)
        return before

    async def ended_with(self, kind: type[P], reason_code: int) -> P:
        """The broker's last packet before it closes."""
        packets = await self.closed()
        assert packets and isinstance(packets[-1], kind), packets
        assert packets[-1].reason_code == reason_code, packets  # type: ignore[attr-defined]
        return packets[-1]

    async def silent(self, seconds: float = 5.0) -> None:
        """Nothing comes, and the connection stays open."""
        await asyncio.sleep(seconds)
        assert not self._aside, self._aside
        assert self.waiting.empty(), self.waiting.get_nowait()

    async def sync(self) -> None:
        """Nothing came before the answer to a ping."""
        self.send(Pingreq())
        await self.expect(Pingresp)

    async def connect(self, client_id: str, **options: Any) -> Connack:
        self.send(connect_packet(client_id, protocol=self.protocol, **options))
        return await self.expect(Connack)

    async def subscribe(
        self, *filters: str | SubscribeFilter, qos: int = 0, identifier: int | None = None
    ) -> Suback:
        wanted = tuple(
            item if isinstance(item, SubscribeFilter) else SubscribeFilter(item, qos) for item in filters
        )
        properties = Properties(subscription_identifier=(identifier,)) if identifier else NO_PROPERTIES
        self.send(Subscribe(1, wanted, properties))
        return await self.expect(Suback)

    async def publish(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
        packet_id: int = 1,
    ) -> int:
        """The whole flow; returns the Reason Code. Messages that come in between are for `message`."""
        self.send(Publish(topic, payload, qos, retain, False, packet_id if qos else None, properties))
        code = 0
        if qos == 0:
            self.send(Pingreq())
            await self._answer(Pingresp)
        elif qos == 1:
            puback = await self._answer(Puback)
            assert puback.packet_id == packet_id, puback
            code = puback.reason_code
        else:
            pubrec = await self._answer(Pubrec)
            assert pubrec.packet_id == packet_id, pubrec
            code = pubrec.reason_code
            if code < 0x80:
                self.send(Pubrel(packet_id))
                pubcomp = await self._answer(Pubcomp)
                assert pubcomp.packet_id == packet_id, pubcomp
        return code

    async def _answer(self, kind: type[P]) -> P:
        messages: list[Packet] = []
        while isinstance(packet := await self.recv(), Publish):
            messages.append(packet)
        self._aside = messages + self._aside
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    async def message(self, payload: bytes | None = None, **fields: object) -> Publish:
        """The next packet is a message; its flow is carried through."""
        packet = await self.expect(Publish, **fields)
        if payload is not None:
            assert packet.payload == payload, packet
        if packet.qos == 1:
            self.send(Puback(packet.packet_id or 0))
        elif packet.qos == 2:
            self.send(Pubrec(packet.packet_id or 0))
            pubrel = await self._answer(Pubrel)
            assert pubrel.packet_id == packet.packet_id, pubrel
            self.send(Pubcomp(packet.packet_id or 0))
        return packet

    async def drop(self) -> None:
        """Gone without a word; returns when the broker knows."""
        assert self.transport is not None
        self.transport.abort()
        await asyncio.sleep(1.0)


def connect_packet(
    client_id: str,
    *,
    protocol: int = MQTT_5,
    clean: bool = True,
    keep_alive: int = 0,
    username: str | None = None,
    password: bytes | None = None,
    will: Will | None = None,
    expiry: int | None = None,
    properties: Properties | None = None,
) -> Connect:
    if properties is None:
        properties = NO_PROPERTIES if expiry is None else Properties(session_expiry_interval=expiry)
    return Connect(client_id, clean, keep_alive, username, password, will, properties, protocol)


class House:
    """The broker, its network, and what went wrong in it."""

    def __init__(self, broker: Broker, network: MemoryNetwork) -> None:
        self.broker = broker
        self.network = network
        self.log: list[str] = []
        """What the broker said in the log, from WARNING up. A test that expects something empties it."""

    async def line(self, protocol: int = MQTT_5, link: LinkSettings | None = None) -> Client:
        """A connection on which nothing has been said."""
        _, client = await self.network.connect(lambda: Client(protocol), "broker", 1883, settings=link)
        return client

    async def client(self, client_id: str, protocol: int = MQTT_5, **options: Any) -> Client:
        """A client that is connected."""
        client = await self.line(protocol)
        connack = await client.connect(client_id, **options)
        assert connack.reason_code == 0, connack
        return client

    def logged(self, *words: str) -> None:
        """Exactly these things are in the log, in any order; takes them out."""
        left = list(self.log)
        for word in words:
            found = next((line for line in left if word in line), None)
            assert found is not None, f"{word!r} is not in {self.log}"
            left.remove(found)
        assert not left, left
        self.log.clear()


class _Ears(logging.Handler):
    def __init__(self, house: House) -> None:
        super().__init__(logging.WARNING)
        self._house = house

    def emit(self, record: logging.LogRecord) -> None:
        self._house.log.append(record.getMessage())


def in_house(
    play: Callable[[House], Coroutine[Any, Any, None]],
    settings: BrokerSettings | None = None,
    *,
    plugins: dict[str, Any] | None = None,
    methods: tuple[AuthenticationMethod, ...] = (),
    required_method: str | None = None,
    traced: bool = False,
) -> Trace | None:
    """Run `play` with a broker of these settings; returns the trace, if one was asked for."""

    async def main() -> Trace | None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        config: dict[str, Any] = {"listeners": EXTERNAL}
        if plugins is not None:
            config["plugins"] = plugins
        trace = Trace(loop.time) if traced else None
        broker = Broker(settings, config, trace=trace, methods=methods, required_method=required_method)
        house = House(broker, MemoryNetwork())
        ears = _Ears(house)
        logging.getLogger("mqttsec").addHandler(ears)
        loop.set_exception_handler(lambda _, context: house.log.append(str(context)))
        try:
            await broker.start()
            server = house.network.listen(broker.protocol_factory(), "broker", 1883)
            await play(house)
            server.close()
            await broker.shutdown()
        finally:
            logging.getLogger("mqttsec").removeHandler(ears)
        assert not house.log, house.log
        assert not broker.connections
        assert not broker.sessions and not broker.subscriptions
        await asyncio.sleep(0)
        left = [task for task in loop.unfinished_tasks() if task is not asyncio.current_task()]
        assert not left, left
        return trace

    return run_virtual(main())
