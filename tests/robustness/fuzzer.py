"""A mutation fuzzer that plays a crowd of bad clients on one broker, and two good ones beside them.

Everything is drawn from one seed and runs on the virtual clock, so a run can be repeated exactly.
"""

from __future__ import annotations

import asyncio
import enum
import gc
import random
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Connack,
    Connect,
    Disconnect,
    PacketType,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Splitter,
    Subscribe,
    SubscribeFilter,
    Unsubscribe,
    Will,
    decode,
    encode,
)
from mqttsec.packets.reason_codes import SERVER_DISCONNECT_CODES
from mqttsec.trace import Trace
from tests.packets.corpus import CORPUS
from tests.packets.mutation import Mutator
from tests.robustness.plugins import TwoRounds
from tests.robustness.wires import Peer, Wire, complaints, type_of

SETTINGS = BrokerSettings(
    maximum_packet_size=100_000, max_queued_messages=300, max_retained_messages=200, max_subscriptions=50,
    maximum_session_expiry=120, receive_maximum=20, max_inflight=10, seed=1,
)
"""Small bounds, so that a fuzzer reaches them."""

_LEAKY = ("Connection", "Session", "Subscription", "Outbox", "Wire", "Task", "TimerHandle", "Node", "Route",
          "AuthConversation", "Splitter")
"""Classes of which nothing may be left behind."""


def _client_frames(protocol: int) -> list[bytes]:
    """Packets with which a client gets somewhere: the broker's own first Packet Identifiers, real topics."""
    numbers = (1, 2, 3, 7)
    frames = [seed.frame for seed in CORPUS if seed.protocol == protocol]
    for number in numbers:
        frames += [encode(make(number), protocol) for make in (Puback, Pubrec, Pubrel, Pubcomp)]
        frames += [encode(Publish("weather/seattle", b"12.8", 2, packet_id=number), protocol)]
        frames += [encode(Publish("weather/x", b"", 1, True, packet_id=number), protocol)]
    filters = ("weather/#", "#", "+/seattle", "$share/group/weather/#", "$SYS/#")
    frames += [encode(Subscribe(5, (SubscribeFilter(text, qos),)), protocol)
               for text in filters for qos in (0, 1, 2)]
    frames += [encode(Unsubscribe(6, (text,)), protocol) for text in filters]
    if protocol == MQTT_5:
        frames += [encode(Publish("weather/a", b"x", properties=Properties(topic_alias=alias)))
                   for alias in (1, 10)]
    return frames


_FRAMES = {protocol: _client_frames(protocol) for protocol in (MQTT_5, MQTT_3_1_1)}


@dataclass
class BadClient:
    """One connection of the fuzzer, with what it sent, for the report."""

    wire: Wire
    protocol: int
    connected: bool
    sent: list[bytes]
    splitter: Splitter = field(default_factory=Splitter)


class Way(enum.Enum):
    """How the broker is set up: each way runs other code of it."""

    PLAIN = "as it comes"
    TRACED = "with a trace that records every packet"
    SLOW = "with a topic plugin that waits, and enhanced authentication"


class Fuzzer:
    """Feeds `inputs` damaged packets into one broker. `run` returns the figures of the run."""

    def __init__(self, seed: int, inputs: int, way: Way = Way.PLAIN) -> None:
        self.seed = seed
        self.inputs = inputs
        self.way = way
        self.random = random.Random(seed)
        self.mutators = {protocol: Mutator(seed + protocol, protocol, frames)
                         for protocol, frames in _FRAMES.items()}
        self.done = 0
        self.tally: Counter[str] = Counter()
        """How often each packet type was sent damaged, and how the broker ended connections."""
        self.clients: list[BadClient] = []
        self.current: BadClient | None = None

    async def run(self) -> Counter[str]:
        """The whole run, checks included."""
        with complaints(asyncio.get_running_loop()) as watcher:
            broker = self._broker()
            await broker.start()
            try:
                good = Bystanders(broker)
                await good.start()
                census = await self._census(broker)
                due = 0
                while self.done < self.inputs:
                    await self._one_turn(broker)
                    if self.done >= due:
                        due += 50
                        good.turn(self.done)
                    if watcher.found:
                        break
                watcher.check()
                while self.clients:
                    self.clients.pop().wire.hang_up()
                self.current = None
                # All wills, expiries and closing time limits run out: 120 s is the longest session.
                await asyncio.sleep(1_000)
                await good.finish()
                watcher.check()
                self._check_nothing_left(broker, good, census, await self._census(broker))
            except BaseException as error:
                if not isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
                    raise AssertionError(self._story()) from error
                raise
            finally:
                await broker.shutdown()
        return self.tally

    def _broker(self) -> Broker:
        config: dict[str, Any] = {"listeners": {"default": {"type": "external"}}}
        if self.way is Way.SLOW:
            config["plugins"] = {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
                "tests.robustness.plugins.WaitingTopicPlugin": {},
            }
        trace = Trace(asyncio.get_running_loop().time, limit=1_000) if self.way is Way.TRACED else None
        methods = [TwoRounds()] if self.way is Way.SLOW else []
        return Broker(SETTINGS, config, trace=trace, methods=methods)

    def _story(self) -> str:
        client = self.current
        sent = [] if client is None else [frame.hex(" ") for frame in client.sent[-6:]]
        lines = "\n".join(f"  {frame}" for frame in sent)
        protocol = 0 if client is None else client.protocol
        return (f"{self.way.value}: seed {self.seed}, input {self.done}, protocol {protocol} "
                f"(MQTTSEC_FUZZ_SEED={self.seed} repeats the run); the connection's last packets:\n{lines}")

    # The bad clients ---------------------------------------------------------------------------

    async def _one_turn(self, broker: Broker) -> None:
        rng = self.random
        if len(self.clients) < 4:
            self.clients.append(await self._arrive(broker))
        client = self.current = rng.choice(self.clients)
        if client.connected and not client.wire.ended:
            await self._send(client)
            await asyncio.sleep(0)
            self._read(client)
        if client.wire.ended or not client.connected or rng.random() < 0.02:
            self._leave(client)
        if rng.random() < 0.002:
            # Keep alive, will delay and session expiry run out now and then.
            await asyncio.sleep(rng.choice((0.5, 3, 50, 200)))

    async def _arrive(self, broker: Broker) -> BadClient:
        rng = self.random
        protocol = rng.choice((MQTT_5, MQTT_5, MQTT_3_1_1))
        frame = encode(self._connect(protocol), protocol)
        if rng.random() < 0.2:
            frame = Mutator(rng.randrange(1 << 30), protocol, [frame]).damaged()
            self._count(frame)
        wire = Wire(asyncio.get_running_loop(), broker.protocol_factory("default"))
        client = self.current = BadClient(wire, protocol, False, [frame])
        early = b""
        if rng.random() < 0.05:
            # Before the CONNACK, too.
            early = rng.choice(_FRAMES[protocol])
            client.sent.append(early)
        self._feed(wire, frame + early)
        await _settle(wire)
        client.connected = bool(wire.written) and not wire.ended
        # Damage may have changed the version; the broker answers in the one that it read.
        client.protocol = wire.protocol.protocol
        self._read(client)
        return client

    def _connect(self, protocol: int) -> Connect:
        rng = self.random
        will = Will(f"weather/{rng.randrange(5)}", b"lost", rng.randrange(3), rng.random() < 0.3)
        packet = Connect(
            f"bad-{rng.randrange(30)}", rng.random() < 0.5, rng.choice((0, 1, 30)),
            will=will if rng.random() < 0.3 else None, protocol=protocol)
        if protocol == MQTT_5:
            limits = Properties(
                session_expiry_interval=rng.choice((None, 0, 30, 0xFFFF_FFFF)),
                receive_maximum=rng.choice((None, 1, 5)), topic_alias_maximum=rng.choice((None, 0, 5)),
                maximum_packet_size=rng.choice((None, None, 30, 1000)),
                request_problem_information=rng.choice((None, 0, 1)))
            if self.way is Way.SLOW and rng.random() < 0.4:
                limits = replace(limits, authentication_method="SCRAM-SHA-256", authentication_data=b"1")
            packet = replace(packet, properties=limits)
            if packet.will is not None and rng.random() < 0.5:
                packet = replace(packet, will=replace(will, properties=Properties(will_delay_interval=5)))
        return packet

    async def _send(self, client: BadClient) -> None:
        rng = self.random
        if rng.random() < 0.3:
            frame = rng.choice(_FRAMES[client.protocol])
        else:
            frame = self.mutators[client.protocol].damaged()
            self._count(frame)
        client.sent.append(frame)
        whole = Splitter().feed(frame) if not _lies(frame) else []
        self._feed(client.wire, frame)
        await _settle(client.wire)
        if whole == [frame]:
            self._check_refusal(client, frame)
        elif not client.wire.ended:
            # The broker waits for the rest of a packet that never comes: the connection is of no more use.
            client.connected = False

    def _feed(self, wire: Wire, data: bytes) -> None:
        if self.random.random() < 0.1:
            cut = self.random.randrange(len(data) + 1)
            wire.feed(data[:cut])
            wire.feed(data[cut:])
        else:
            wire.feed(data)

    def _count(self, frame: bytes) -> None:
        self.done += 1
        kind = type_of(frame)
        self.tally["type 0" if kind is None else kind.name] += 1

    def _check_refusal(self, client: BadClient, frame: bytes) -> None:
        """What the codec refuses, the broker refuses for the same reason: its fast ways must not differ."""
        try:
            decode(frame, client.protocol, from_client=True)
        except ProtocolError as error:
            assert client.wire.ended, f"the broker took what the codec refuses: {error}"
            expected = {error.reason_code}
        else:
            self.tally["well-formed all the same"] += 1
            return
        self.tally["refused"] += 1
        if client.protocol == MQTT_5:
            last = Splitter().feed(bytes(client.wire.written))[-1]
            packet = decode(last, from_client=False)
            if not expected & SERVER_DISCONNECT_CODES:
                expected = {0x82}
            if frame[0] >> 4 == PacketType.PUBLISH:
                # A PUBLISH with two faults: the broker reads it in another order than the codec.
                expected |= {0x81, 0x82, 0x90, 0x94}
            assert isinstance(packet, (Disconnect, Connack)), f"{packet} instead of a DISCONNECT"
            assert packet.reason_code in expected, f"{packet} instead of {expected}"

    def _read(self, client: BadClient) -> None:
        """The broker's own packets are well formed, whatever came."""
        for frame in client.splitter.feed(client.wire.take()):
            packet = decode(frame, client.protocol, from_client=False)
            if isinstance(packet, Connack) and packet.reason_code:
                self.tally[f"CONNACK 0x{packet.reason_code:02X}"] += 1
            elif isinstance(packet, Disconnect):
                self.tally[f"DISCONNECT 0x{packet.reason_code:02X}"] += 1
            elif packet.packet_type is PacketType.PUBLISH:
                self.tally["messages to bad clients"] += 1

    def _leave(self, client: BadClient) -> None:
        self._read(client)
        self.clients.remove(client)
        client.wire.hang_up()

    # What is left ------------------------------------------------------------------------------

    async def _census(self, broker: Broker) -> Counter[str]:
        for _ in range(5):
            await asyncio.sleep(0)
        broker.router.forget()
        gc.collect()
        alive = Counter(type(thing).__name__ for thing in gc.get_objects())
        return Counter({name: alive[name] for name in _LEAKY})

    def _check_nothing_left(self, broker: Broker, good: Bystanders, before: Counter[str],
                            after: Counter[str]) -> None:
        assert broker.connections == {good.sender.wire.protocol, good.receiver.wire.protocol}
        assert set(broker.sessions) == {"good-sender", "good-receiver"}
        assert set(broker._subscriptions) == {"good/#"}
        assert not broker.dirty
        assert len(broker._retained_messages) <= SETTINGS.max_retained_messages
        assert after - before == Counter(), f"left behind: {after - before}"


async def _settle(wire: Wire) -> None:
    """Let the broker take in what was fed; a plugin may make that last some turns of the loop."""
    for _ in range(5_000):
        connection = wire.protocol
        asked = connection.conversation is not None and connection.conversation.expects_answer
        if wire.ended or (wire.all_read and (not connection.is_busy or asked)):
            return
        await asyncio.sleep(0)
    raise AssertionError("the broker neither reads on nor closes")


def _lies(frame: bytes) -> bool:
    """True where the Fixed Header is not that of exactly this packet."""
    try:
        return Splitter().feed(frame) != [frame]
    except ProtocolError:
        return True


class Bystanders:
    """Two well-behaved clients: one publishes at every QoS, the other must get all of it once, in order."""

    def __init__(self, broker: Broker) -> None:
        self.sender, self.receiver = Peer(broker), Peer(broker)
        self.expected: list[bytes] = []

    async def start(self) -> None:
        for peer, name in ((self.sender, "good-sender"), (self.receiver, "good-receiver")):
            answer = await peer.connect(Connect(name, keep_alive=0))
            assert not answer.reason_code
        self.receiver.send(Subscribe(1, (SubscribeFilter("good/#", 2),)))

    def turn(self, number: int) -> None:
        """One more message, and the answers to the last ones."""
        payload = f"{number}".encode()
        self.expected.append(payload)
        self.sender.publish(f"good/{number % 7}", payload, len(self.expected) % 3)
        self.receiver.read()
        self.sender.read()

    async def finish(self) -> None:
        """All hand-shakes come to their end."""
        for _ in range(20):
            await asyncio.sleep(0)
            self.receiver.read()
            self.sender.read()
        assert [packet.payload for packet in self.receiver.received] == self.expected
        assert not self.sender.unfinished
        assert not self.sender.wire.ended and not self.receiver.wire.ended


def main() -> None:
    """python -m tests.robustness.fuzzer [SEED [INPUTS [WAY]]]: a run by hand, with its figures."""
    from mqttsec.net import run_virtual

    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    inputs = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    way = Way[sys.argv[3]] if len(sys.argv) > 3 else Way.PLAIN
    for name, count in run_virtual(Fuzzer(seed, inputs, way).run(), horizon=None).most_common():
        print(f"{count:8}  {name}")


if __name__ == "__main__":
    main()
