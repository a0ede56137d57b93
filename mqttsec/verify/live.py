"""An attack of the model, run against a live broker: a real MQTT 5 broker on a TCP port of this machine.

As `replay`, but what goes to the broker goes through a socket as packets, and what it answers comes back so.
The other parties are machines in this process; the intruder holds all connections.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mqttsec.crypto import PairKeys
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.e2e.company import TOPIC
from mqttsec.e2e.encoding import Message, decode
from mqttsec.e2e.messages import BrokerAnswer, BrokerHello, KeepWaiting, PublisherHello, StillWaiting
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.terms import IDENTITY_OF, Role
from mqttsec.errors import ConfigurationError, HandshakeError
from mqttsec.mqtt5.inprocess import InProcessBroker
from mqttsec.packets import Auth, Connack, Connect, Packet, Properties, Publish, ReasonCode, Splitter
from mqttsec.packets import decode as decode_packet
from mqttsec.packets import encode as encode_packet
from mqttsec.verify.explorer import Instance, Step
from mqttsec.verify.findings import Attack
from mqttsec.verify.from_steps import var
from mqttsec.verify.replay import Outcome, Replay

PATIENCE = 5.0
"""Seconds to wait for a packet of the broker's."""


def run_live(attack: Attack, setup: Setup) -> Outcome:
    """Run an attack against a live broker of `setup`, which must be that of its variant.

    Raises `ConfigurationError` for an attack that no broker takes part in, or with confirming messages;
    `DoesNotCarryOver` when somebody refuses, or when what the attack promises is not so afterwards.
    """
    if setup.script.confirm:
        raise ConfigurationError("no attack on the confirmed handshake is known: there is nothing to run")
    if not any(step.kind.role.kind == "B" for step in attack.steps):
        raise ConfigurationError("this attack goes without the broker: run it on the machines alone")
    live = _Live(attack, setup)
    side = BrokerSide(
        live.company.party(Role.B, BROKER).identity,
        live.company.party(Role.B, BROKER).trust,
        live.setup,
        patience=0.2,
        clock=lambda: live.company.now,
    )
    live.side = side
    with InProcessBroker(extensions=[side]) as broker:
        live.port = broker.port
        try:
            return live.play()
        finally:
            # Before the broker stops: it gives clients that are still there a second to go.
            live.close()


class _Wire:
    """One connection to the broker."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._splitter = Splitter()
        self._come: list[Packet] = []

    def send(self, packet: Packet) -> None:
        self._socket.sendall(encode_packet(packet))

    def next(self) -> Packet:
        """The next packet. Raises `HandshakeError` when none comes."""
        while not self._come:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise HandshakeError("the broker says nothing") from None
            if not data:
                raise HandshakeError("the broker has closed the connection")
            self._come += [decode_packet(frame) for frame in self._splitter.feed(data)]
        return self._come.pop(0)

    def close(self) -> None:
        self._socket.close()


class _Live(Replay):
    """A replay whose broker is at the other end of sockets."""

    side: BrokerSide
    port: int

    def __init__(self, attack: Attack, setup: Setup) -> None:
        super().__init__(attack, setup)
        self._wires: list[_Wire] = []
        self._publishers: dict[str, _Wire] = {}
        self._pairs: dict[tuple[Instance, str], PairKeys] = {}

    def close(self) -> None:
        for wire in self._wires:
            wire.close()

    def _open(self, name: str, message: Message) -> _Wire:
        wire = _Wire(self.port)
        self._wires.append(wire)
        wire.send(Connect(name, clean_start=True, keep_alive=60, properties=self._about(message)))
        return wire

    def _about(self, message: Message) -> Properties:
        return Properties(authentication_method=self.setup.method, authentication_data=message.encode())

    def _answer(self, wire: _Wire) -> bytes:
        """What the CONNACK carries; keeps on waiting when it is asked to."""
        while True:
            packet = wire.next()
            if isinstance(packet, Auth):
                decode(packet.properties.authentication_data or b"", KeepWaiting)
                wire.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, self._about(StillWaiting())))
            elif isinstance(packet, Connack):
                if packet.reason_code >= 0x80:
                    raise HandshakeError(f"the broker refuses: {packet.properties.reason_string}")
                return packet.properties.authentication_data or b""

    def _connect(self, name: str) -> None:
        if name not in self._publishers:
            publisher = Publisher(self.company.party(Role.P, name))
            wire = self._open(name, publisher.hello())
            publisher.welcomed(decode(self._answer(wire), BrokerHello))
            self._publishers[name] = wire

    def block_1_at_b(self, step: Step, received: list[Message]) -> Iterator[Message]:
        name = step.kind.who[var(IDENTITY_OF[Role.P])]
        assert isinstance(received[0], PublisherHello)
        wire = self._open(name, received[0])
        reply = decode(self._answer(wire), BrokerHello)
        self._publishers[name] = wire
        self._pairs[step.instance, "K_PB"] = self.side.machine._links[name].pair
        yield reply

    def block_2_at_b(self, step: Step, received: list[Message]) -> Iterator[Message]:
        request, answer = received
        publisher = step.kind.who[var(IDENTITY_OF[Role.P])]
        subscriber = step.kind.who[var(IDENTITY_OF[Role.S])]
        self._connect(publisher)
        wire = self._open(subscriber, request)
        asked = self._publishers[publisher].next()
        while not isinstance(asked, Publish):
            asked = self._publishers[publisher].next()
        about = Properties(correlation_data=asked.properties.correlation_data)
        assert asked.properties.response_topic is not None
        self._publishers[publisher].send(
            Publish(asked.properties.response_topic, answer.encode(), 0, properties=about)
        )
        accepted = decode(self._answer(wire), BrokerAnswer)
        member = self.side.machine._audiences._by_stream[publisher, TOPIC].members[subscriber]
        self._pairs[step.instance, "K_BSi"] = member.pair
        if accepted.wrapped is not None:
            self.wrapped[step.instance, "GK_B"] = accepted.wrapped
        yield accepted

    def key(self, instance: Instance, name: str) -> PairKeys | None:
        if self.attack.case.kinds[instance[0]].role.kind == "B":
            return self._pairs.get((instance, name))
        return super().key(instance, name)
