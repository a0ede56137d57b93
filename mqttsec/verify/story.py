"""What a replay tells: a trace of real packets, between the parties of an attack and its intruder."""

from __future__ import annotations

from mqttsec.e2e.control import answer_topic, control_topic
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.steps import Sending
from mqttsec.e2e.terms import IDENTITY_OF, Role
from mqttsec.packets import Auth, Connack, Connect, Packet, PacketType, Properties, Publish, ReasonCode
from mqttsec.packets import encode as encode_packet
from mqttsec.trace import EventKind, Trace
from mqttsec.verify.cases import MALLORY, Intruder, Kind
from mqttsec.verify.explorer import Instance, Step
from mqttsec.verify.findings import Attack
from mqttsec.verify.from_steps import var
from mqttsec.verify.roles import Claim, Receive, Send

TRAVEL = 0.02
"""Seconds between two packets in the trace."""


class Story:
    """The trace of one attack, written while it is run.

    Every packet goes to the intruder or comes from it: to be on the line is what an intruder is.
    """

    def __init__(self, attack: Attack, setup: Setup) -> None:
        self.attack = attack
        self.setup = setup
        self.intruder = "network" if attack.case.intruder is Intruder.OUTSIDER else MALLORY
        """Its column."""
        self.packets = 0
        """How many there were."""
        self.trace = Trace(lambda: self.packets * TRAVEL)
        """What happened so far."""

    def arrives(self, step: Step, receive: Receive, message: Message) -> None:
        """A party gets a message."""
        packet = self._packet(step, receive.name, message, towards=True)
        self._travels(self.intruder, self.column(step.instance), packet)

    def leaves(self, step: Step, send: Send, message: Message) -> None:
        """A party sends a message."""
        packet = self._packet(step, send.name, message, towards=False)
        self._travels(self.column(step.instance), self.intruder, packet)

    def derives(self, step: Step, claim: Claim) -> None:
        """A party has the key that it claims to share with its peer."""
        peer = step.kind.who[claim.peer]
        self.trace.record(
            EventKind.DERIVED, self.column(step.instance), peer, keys=(claim.secret.name,),
            detail=f"for {peer}",
        )  # fmt: skip

    def ends(self) -> None:
        """What the attack has achieved, as a note at its victim."""
        victim = self.column(self.attack.wrong.instance)
        self.trace.record(EventKind.NOTE, victim, detail=self.attack.summary)

    def column(self, instance: Instance) -> str:
        """`alice`, and `alice 2` where she has several runs."""
        kind = self.attack.case.kinds[instance[0]]
        runs = [
            step.instance
            for step in self.attack.steps
            if step.stage == 0 and step.kind.principal == kind.principal
        ]
        place = runs.index(instance) + 1
        return kind.principal if kind.principal == BROKER or place == 1 else f"{kind.principal} {place}"

    def _travels(self, sender: str, receiver: str, packet: Packet) -> None:
        frame = encode_packet(packet)
        number = self.packets + 1
        self.trace.record(EventKind.SENT, sender, receiver, packet=frame, connection=number)
        self.packets = number
        self.trace.record(EventKind.RECEIVED, receiver, sender, packet=frame, connection=number)

    def _packet(self, step: Step, name: str, message: Message, towards: bool) -> Packet:
        """The MQTT packet that carries a message at this party."""
        kind, me = step.kind, Role(step.kind.role.kind)
        sending = next(
            each
            for each in self.setup.script.steps
            if isinstance(each, Sending)
            and each.message.__name__ == name
            and (each.receiver if towards else each.sender) is me
        )
        about = Properties(authentication_method=self.setup.method, authentication_data=message.encode())
        client = kind.principal if me is not Role.B else _client(kind, sending)
        if sending.packet is PacketType.CONNECT:
            return Connect(client, clean_start=True, keep_alive=60, properties=about)
        if sending.packet is PacketType.CONNACK:
            return Connack(False, ReasonCode.SUCCESS, about)
        if sending.packet is PacketType.AUTH:
            return Auth(ReasonCode.CONTINUE_AUTHENTICATION, about)
        publisher = kind.who[var(IDENTITY_OF[Role.P])]
        subscriber = kind.who[var(IDENTITY_OF[Role.S])]
        to_p = sending.receiver is Role.P
        topic = control_topic(publisher) if to_p else answer_topic(subscriber)
        return Publish(
            topic, message.encode(), 1, packet_id=1, properties=Properties(correlation_data=bytes(16))
        )


def _client(kind: Kind, sending: Sending) -> str:
    """The party that talks to the broker."""
    role = sending.sender if sending.receiver is Role.B else sending.receiver
    return kind.who[var(IDENTITY_OF[role])]
