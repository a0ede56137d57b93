"""An attack of the model, run on the real machines: real signatures, real keys, real packets.

Every instance of the attack is a machine of `mqttsec.e2e`; the intruder takes what they send apart, keeps
it, and puts together what the attack says. Nothing is taken from the model but which value goes where. A
machine that refuses a message ends it: then the attack does not carry over, which is a defect of the model.

Block 2 takes place at a broker to which the publisher is connected, so its Block 1 is done beforehand and
honestly. Old runs are run first, under a clock that stands before the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from mqttsec.crypto import Ephemeral, PairKeys, fields, pair_keys, same_secret
from mqttsec.e2e.broker import Ticket, Welcome
from mqttsec.e2e.company import START, TOPIC, Company, across
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.groups import keyring
from mqttsec.e2e.handshake import leaves
from mqttsec.e2e.messages import WrappedKey
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import AGREEMENTS
from mqttsec.e2e.subscriber import Subscriber
from mqttsec.e2e.terms import IDENTITY_OF, KeyName, Kind, Role, Term
from mqttsec.errors import HandshakeError, MqttsecError, TamperError
from mqttsec.trace import Trace
from mqttsec.verify.cases import MALLORY, Property
from mqttsec.verify.explorer import OWN_KEY, Explorer, Instance, Step, Value
from mqttsec.verify.findings import Attack
from mqttsec.verify.from_steps import var
from mqttsec.verify.roles import Receive, Send, Shared, Signed, Var
from mqttsec.verify.story import Story


class DoesNotCarryOver(MqttsecError):
    """An attack of the model that the machines withstand."""


@dataclass
class _Machine:
    """One instance, for real."""

    publisher: Publisher | None = None
    subscriber: Subscriber | None = None
    welcome: Welcome | None = None
    ticket: Ticket | None = None
    correlation: bytes = b""
    peer: str = ""


class _Recorder:
    """A curve that remembers the private keys: those of old runs leak, and the intruder has its own."""

    def __init__(self, curve: Any) -> None:
        self._curve = curve
        self.made: dict[bytes, Ephemeral] = {}

    def generate(self, operations: Any = None) -> Ephemeral:
        pair: Ephemeral = self._curve.generate(operations)
        self.made[pair.public] = pair
        return pair

    def __getattr__(self, name: str) -> Any:
        return getattr(self._curve, name)


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    attack: Attack
    """What was run."""
    trace: Trace
    """What happened, with real packets."""
    achieved: str
    """What the machines now believe, and what is so."""


def run(attack: Attack, setup: Setup) -> Outcome:
    """Run an attack on the machines of `setup`, which must be those of its variant.

    Raises `DoesNotCarryOver` when a machine refuses, or when what the attack promises is not so afterwards.
    """
    return Replay(attack, setup).play()


class Replay:
    """One run of an attack: machines by instance, what the intruder has by value, and the trace."""

    def __init__(self, attack: Attack, setup: Setup) -> None:
        self.attack = attack
        self.explorer = Explorer(attack.case)
        self.setup = replace(setup)
        self.keys = _Recorder(setup.group)
        # The machines ask the setup for the curve; this one remembers.
        self.setup.__dict__["group"] = self.keys
        self.company = Company(self.setup)
        self.now = START + 10 * self.setup.window
        self.times = {"old": START, "now": self.now}
        self.story = Story(attack, setup)
        self.machines: dict[Instance, _Machine] = {}
        self.wrapped: dict[tuple[Instance, str], WrappedKey] = {}
        self.bytes_of: dict[Value, Any] = {OWN_KEY: self.keys.generate().public}

    def play(self) -> Outcome:
        self._connect_beforehand()
        for step in (*self.attack.steps, *self.attack.last):
            self.company.now = self.times[step.kind.age]
            try:
                self._step(step)
            except (HandshakeError, TamperError) as error:
                raise DoesNotCarryOver(f"{self.attack.goal}: {error}") from error
        if not self._so():
            raise DoesNotCarryOver(f"{self.attack.goal}: all went through, and yet it is not so")
        self.story.ends()
        return Outcome(self.attack, self.story.trace, self.attack.summary)

    def _connect_beforehand(self) -> None:
        """Block 1 of the publishers whose subscribers come to the broker in Block 2."""
        for step in self.attack.steps:
            if step.kind.role.name == "B2":
                for old in ("old", "now"):
                    self.company.now = self.times[old]
                    self._connect(step.kind.who[var(IDENTITY_OF[Role.P])])

    def _connect(self, name: str) -> None:
        broker = self.company.broker
        if name not in broker.publishers:
            publisher = Publisher(self.company.party(Role.P, name))
            welcome = broker.welcome(name, across(publisher.hello()))
            broker.enter(welcome, publisher.welcomed(across(welcome.reply)))

    # One step ----------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        stage = step.kind.role.stages[step.stage]
        received = [self._made(step, receive) for receive in stage.receives]
        for receive, message in zip(stage.receives, received, strict=True):
            self.story.arrives(step, receive, message)
        sent = getattr(self, _DO[step.kind.role.name])(step, received)
        for message in sent:
            send = next(each for each in stage.sends if each.name == type(message).__name__)
            self._learn(step, send, message)
            self.story.leaves(step, send, message)
        if received or not step.kind.role.initiator:
            for claim in step.kind.role.claims:
                if self.key(step.instance, claim.secret.name):
                    self.story.derives(step, claim)

    def block_1_at_p(self, step: Step, received: list[Message]) -> Iterator[Message]:
        if step.stage == 0:
            who = step.kind.who
            machine = _Machine(Publisher(self._party(step, Role.P), who[var(IDENTITY_OF[Role.B])]))
            self.machines[step.instance] = machine
            assert machine.publisher is not None
            yield machine.publisher.hello()
            return
        publisher = self.machines[step.instance].publisher
        assert publisher is not None
        confirm = publisher.welcomed(across(received[0]))  # type: ignore[arg-type]
        if confirm is not None:
            yield confirm

    def block_1_at_b(self, step: Step, received: list[Message]) -> Iterator[Message]:
        broker = self.company.broker
        if step.stage == 0:
            name = step.kind.who[var(IDENTITY_OF[Role.P])]
            welcome = broker.welcome(name, across(received[0]))  # type: ignore[arg-type]
            self.machines[step.instance] = _Machine(welcome=welcome)
            yield welcome.reply
            if not self.setup.script.confirm:
                broker.enter(welcome)
            return
        welcomed = self.machines[step.instance].welcome
        assert welcomed is not None
        broker.enter(welcomed, across(received[0]))  # type: ignore[arg-type]

    def block_2_at_s(self, step: Step, received: list[Message]) -> Iterator[Message]:
        who = step.kind.who
        if step.stage == 0:
            subscriber = Subscriber(self._party(step, Role.S), who[var(IDENTITY_OF[Role.B])])
            self.machines[step.instance] = _Machine(subscriber=subscriber)
            yield subscriber.request(who[var(IDENTITY_OF[Role.P])], TOPIC)
            return
        subscribed = self.machines[step.instance].subscriber
        assert subscribed is not None
        confirm = subscribed.accepted(across(received[0]))  # type: ignore[arg-type]
        if confirm is not None:
            yield confirm

    def block_2_at_p(self, step: Step, received: list[Message]) -> Iterator[Message]:
        who = step.kind.who
        if step.stage == 0:
            publisher = Publisher(self._party(step, Role.P), who[var(IDENTITY_OF[Role.B])])
            correlation = bytes(15) + bytes([len(self.machines)])
            name = who[var(IDENTITY_OF[Role.S])]
            answer = publisher.asked(correlation, across(received[0]))  # type: ignore[arg-type]
            machine = _Machine(publisher, correlation=correlation, peer=name)
            if answer.wrapped is not None:
                self.wrapped[step.instance, "GK_P"] = answer.wrapped
            self.machines[step.instance] = machine
            yield answer
            return
        machine = self.machines[step.instance]
        assert machine.publisher is not None
        machine.publisher.confirmed(machine.correlation, across(received[0]))  # type: ignore[arg-type]

    def block_2_at_b(self, step: Step, received: list[Message]) -> Iterator[Message]:
        broker, who = self.company.broker, step.kind.who
        if step.stage == 0:
            request, answer = received
            publisher = who[var(IDENTITY_OF[Role.P])]
            self._connect(publisher)
            ticket = broker.request(who[var(IDENTITY_OF[Role.S])], across(request))  # type: ignore[arg-type]
            broker.asked(ticket)
            broker.answered(publisher, ticket.correlation, across(answer))  # type: ignore[arg-type]
            machine = _Machine(ticket=ticket)
            self.machines[step.instance] = machine
            accepted = broker.accept(ticket)
            if accepted.wrapped is not None:
                self.wrapped[step.instance, "GK_B"] = accepted.wrapped
            yield accepted
            if not self.setup.script.confirm:
                broker.join(ticket)
            return
        begun = self.machines[step.instance].ticket
        assert begun is not None
        broker.join(begun, across(received[0]))  # type: ignore[arg-type]

    def _party(self, step: Step, role: Role) -> Any:
        return self.company.party(role, step.kind.principal)

    # What the intruder keeps, and what it puts together ----------------------------------------

    def _learn(self, step: Step, send: Send, message: Message) -> None:
        told = {term.name: value for term, value in leaves(message)}
        for part in send.news:
            if isinstance(part, Var):
                self.bytes_of[step.env[part]] = told[part.name]
            elif isinstance(part, Signed) and part.payload:
                self.bytes_of[self.explorer.value(step.kind, part, step.env)] = told[part.name]

    def _made(self, step: Step, receive: Receive) -> Message:
        """The message that the attack says, built from what the intruder has."""
        types = {type_.__name__: type_ for type_ in self._types()}
        return self._build(types[receive.name], step, receive, dict(step.env))

    def _types(self) -> set[type[Message]]:
        return {step.message for step in self.setup.script.steps}

    def _build(self, cls: type[Message], step: Step, receive: Receive, env: dict[Var, Value]) -> Message:
        made: dict[str, Any] = {}
        for form in cls.forms():
            if form.term is None and form.nested is not None:
                made[form.name] = self._build(form.nested, step, receive, env)
            elif form.term is not None:
                made[form.name] = self._field(form.term, step, receive, env)
        return cls(**made)

    def _field(self, term: Term, step: Step, receive: Receive, env: dict[Var, Value]) -> Any:
        if term.kind is Kind.WRAP:
            return None
        if term.kind is Kind.CERTIFICATE:
            assert term.owner is not None
            return self._identity(step.kind.who[var(IDENTITY_OF[term.owner])]).certificate
        if term.kind is Kind.SIGNATURE:
            part = next(
                (each for each in receive.parts if isinstance(each, Signed) and each.name == term.name), None
            )
            return b"" if part is None or not part.payload else self._signature(term, part, step, env)
        return self._value(term, step, env)

    def _value(self, term: Term, step: Step, env: dict[Var, Value]) -> Any:
        if term.kind is Kind.IDENTITY:
            return step.kind.who[var(term)]
        if term.kind is Kind.TOPIC:
            return TOPIC
        if term.kind is Kind.TIMESTAMP:
            return int(self.times[env.get(var(term), step.kind.age)] * 1000)
        # What the receiver only looks at may be anything: then it is a key of the intruder's.
        return self.bytes_of[env.get(var(term), OWN_KEY)]

    def _signature(self, term: Term, part: Signed, step: Step, env: dict[Var, Value]) -> bytes:
        signer = step.kind.who[part.signer]
        if signer != MALLORY:
            found: bytes = self.bytes_of[self.explorer.value(step.kind, part, env)]
            return found
        covered: list[str | bytes] = []
        for each in self.setup.script.signatures[term].covers:
            if each.kind is Kind.TAG:
                covered.append(f"{self.setup.method} {each.name}")
            else:
                value = self._value(each, step, env)
                covered.append(value.to_bytes(8, "big") if isinstance(value, int) else value)
        signature: bytes = self._identity(MALLORY).sign(fields(*covered))
        return signature

    def _identity(self, name: str) -> Any:
        return self.company.party(Role.S, name).identity

    # Afterwards --------------------------------------------------------------------------------

    def key(self, instance: Instance, name: str) -> PairKeys | None:
        """The key of that name as an instance has it."""
        machine, key = self.machines[instance], KeyName(name)
        if machine.welcome is not None:
            return machine.welcome.run.keys.get(key)
        if machine.ticket is not None:
            return machine.ticket.run.keys.get(key)
        if machine.subscriber is not None:
            return machine.subscriber.latest.get(key)
        assert machine.publisher is not None
        if key is KeyName.K_PB:
            return machine.publisher._channel
        stream = machine.publisher._streams.get(TOPIC)
        return stream.members[machine.peer].pair if stream is not None and machine.peer else None

    def _so(self) -> bool:
        """Whether what the attack promises is so, judged by the machines."""
        wrong, goal = self.attack.wrong, self.attack.goal
        assert isinstance(wrong.claim.secret, Shared)
        name = wrong.claim.secret.name
        key = self.key(wrong.instance, name)
        if key is None:
            return False
        if goal.property in (Property.SECRECY, Property.FORWARD):
            return self._intruder_has(key, name, goal.subject)
        if goal.property is Property.ALIVENESS:
            peer = wrong.kind.who[wrong.claim.peer]
            return not any(step.kind.principal == peer for step in self.attack.steps)
        if goal.property is Property.ONCE:
            return self._claimed_twice()
        agreeing = [step for step in self._partners() if self._agrees(step, key, name)]
        if goal.property is Property.AGREEMENT:
            return not agreeing
        if goal.property is Property.PAIRING:
            return not agreeing and any(True for _ in self._partners())
        other = self.attack.other
        if other is not None:
            theirs = self.key(other.instance, other.claim.secret.name)
            return theirs is not None and _same(key, theirs)
        mine = wrong.kind.who
        return bool(agreeing) and all(
            any(mine.get(each, other_name) != other_name for each, other_name in step.kind.names)
            for step in agreeing
        )

    def _partners(self) -> Iterator[Step]:
        """Runs of the peer with the claimer, in the right role."""
        wrong = self.attack.wrong
        for step in self.attack.steps:
            kind = step.kind
            if step.stage == 0 and kind.role.name in wrong.claim.of_peer and not kind.old:
                if kind.who.get(wrong.kind.role.owner) == wrong.kind.principal:
                    yield step

    def _agrees(self, step: Step, key: PairKeys, name: str) -> bool:
        wrong = self.attack.wrong
        theirs = self.key(step.instance, name)
        if len(wrong.claim.agreed) > 1:
            return theirs is not None and _same(key, theirs)
        # Before it is confirmed, the peer has sent its half and no more.
        (half,) = wrong.claim.agreed
        return bool(self.bytes_of[step.env[half]] == self.bytes_of[wrong.env[half]])

    def _claimed_twice(self) -> bool:
        wrong = self.attack.wrong
        halves = {
            step.instance: tuple(self.bytes_of[step.env[half]] for half in wrong.claim.agreed)
            for step in self.attack.steps
            if step.kind.role == wrong.kind.role
            and all(half in step.env for half in wrong.claim.agreed)
            and self.key(step.instance, wrong.claim.secret.name) is not None
        }
        return list(halves.values()).count(halves[wrong.instance]) > 1

    def _intruder_has(self, key: PairKeys, name: str, subject: str) -> bool:
        """The intruder computes the key from what it knows: a private key of its own, or one that leaked."""
        wrong, agreement = self.attack.wrong, AGREEMENTS[KeyName(name)]
        values = {half: wrong.env[var(half)] for half in agreement.halves}
        known = next(half for half, value in values.items() if self.explorer.leaked(value))
        (other,) = (half for half in agreement.halves if half != known)
        public = {half: self.bytes_of[value] for half, value in values.items()}
        secret = self.keys.made[public[known]].agree(public[other], name)
        ends = tuple(wrong.kind.who[var(IDENTITY_OF[end])] for end in agreement.ends)
        context = tuple(public[half] for half in agreement.halves)
        mine = pair_keys(self.setup.profile, self.setup.ciphers, secret, name, (ends[0], ends[1]), context)
        if not _same(mine, key):
            return False
        wrapped = self.wrapped.get((wrong.instance, subject))
        if subject.startswith("GK"):
            giver = wrong.kind.principal
            # What is sealed is bound to the member's name, which is no secret.
            party = self.company.party(Role.S, wrong.kind.who[wrong.claim.peer])
            if wrapped is None:
                return False
            keyring(party, KeyName(subject), giver, wrapped, mine.sending(giver))
        return True


_DO = {
    "P1": "block_1_at_p",
    "B1": "block_1_at_b",
    "S2": "block_2_at_s",
    "B2": "block_2_at_b",
    "P2": "block_2_at_p",
}
"""What each role does with what it got."""


def _same(one: PairKeys, other: PairKeys) -> bool:
    return same_secret(one.forth.encryption, other.forth.encryption)
