"""The weaknesses of the paper as programs: each runs against the real machines (specification 1.7).

An attack is a function of a `Setup`. It returns, in a line, what the attacker has achieved; where a
party notices, that party's error comes out. Against *published* the attacks succeed, against *hardened*
they fail with the error that stands in the table `ATTACKS`; one is stopped by an option of it only.

An attacker has what its kind really has: the network what was sent, the broker its keys, an insider a
certificate of its own and the keys that it was given. Where a program looks into a machine (`_links`,
`_streams`), it reads its attacker's own keys, or shows afterwards what has become of the victims.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mqttsec.crypto import Key, PairKeys, Profile, Purpose, SealKey, fields, same_secret
from mqttsec.e2e.channel import LayerCheck, LayerRefused, Place, Sealer, associated, parse
from mqttsec.e2e.company import PUBLISHER, TOPIC, Company, across, ready
from mqttsec.e2e.handshake import CheckFailed
from mqttsec.e2e.messages import PublisherAnswer
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import CheckKind
from mqttsec.e2e.subscriber import Subscriber
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.errors import HandshakeError, TamperError

MESSAGE = b"12.8 C"
FORGED = b"99.9 C"
INSIDER = "mallory"
"""Who attacks from within: she has a certificate like everybody."""


class Adversary(str, enum.Enum):
    """Who attacks."""

    NETWORK = "network"
    """Reads, changes, holds back and repeats what is sent."""
    BROKER = "broker"
    """The broker itself, which is more than curious."""
    INSIDER = "insider"
    """Somebody with a certificate and keys of its own, who also has the network."""


# The handshake ---------------------------------------------------------------------------------


def misbinding(setup: Setup) -> str:
    """mallory signs alice's R_P; B takes alice's channel for hers."""
    company = Company(setup)
    hello = company.publisher.hello()
    mallory = company.party(Role.P, INSIDER)
    # The ephemeral key and the time stay alice's. Name, certificate and signature become mallory's own.
    values: dict[str, str | bytes] = {
        "c1": f"{setup.method} c1",
        "P": INSIDER,
        "B": company.broker.party.name,
        "R_P": hello.ephemeral,
        "T_P": hello.timestamp.to_bytes(8, "big"),
    }
    (signature,) = (each for each in setup.script.signatures.values() if each.term.name == "Sig_P:c1")
    signed = fields(*(values[term.name] for term in signature.covers))
    theirs = replace(
        hello,
        publisher=INSIDER,
        signature=mallory.identity.sign(signed),
        certificate=mallory.identity.certificate,
    )
    welcome = company.broker.welcome(INSIDER, across(theirs))
    company.publisher.welcomed(across(welcome.reply))
    company.broker.enter(welcome)
    if not _same(company.publisher._channel, company.broker._links[INSIDER].pair):
        raise HandshakeError("the keys differ")
    return "alice and B share K_PB; B believes that it is mallory's"


def mixed_runs(setup: Setup) -> str:
    """Of two parallel runs, one gets the answer to the other."""
    company = Company(setup)
    first, second = company.publisher, Publisher(company.publisher.party)
    kept_back = company.broker.welcome(PUBLISHER, across(first.hello()))
    welcome = company.broker.welcome(PUBLISHER, across(second.hello()))
    second.welcomed(across(kept_back.reply))
    company.broker.enter(welcome)
    if _same(second._channel, company.broker._links[PUBLISHER].pair):
        raise HandshakeError("the keys are the same after all")
    return "both ends of one run are content, with two different keys K_PB"


def connect_as_answer(setup: Setup) -> str:
    """P's CONNECT is given to B as P's answer to a subscriber."""
    company = Company(setup)
    hello = company.publisher.hello()
    welcome = company.broker.welcome(PUBLISHER, across(hello))
    company.publisher.welcomed(across(welcome.reply))
    company.broker.enter(welcome)
    ticket = company.ask("bob")
    forged = PublisherAnswer(hello.ephemeral, hello.timestamp, hello.signature, hello.certificate, None)
    company.broker.answered(PUBLISHER, ticket.correlation, across(forged))
    company.finish(ticket)
    if company.publisher.members(TOPIC):
        raise HandshakeError("alice has answered after all")
    return "bob has a K_PSi with alice, who was never asked"


def replayed_connect(setup: Setup) -> str:
    """P's CONNECT is sent again within the window, P has gone."""
    company = Company(setup)
    hello = company.publisher.hello()
    company.broker.enter(company.broker.welcome(PUBLISHER, across(hello)))
    company.broker.parted(PUBLISHER)
    company.now += setup.window / 2
    company.broker.enter(company.broker.welcome(PUBLISHER, across(hello)))
    return "B believes that alice is connected; she has been gone for half a window"


def one_key(setup: Setup) -> str:
    """A key that was given out to check tags alone, reads."""
    company = ready(setup, "bob")
    ((topic, payload),) = company.publisher.protect(TOPIC, MESSAGE)
    pair = company.subscribers["bob"].latest[KeyName.K_PS]
    checking = pair.sending(PUBLISHER).mac
    size = setup.ciphers.encryption_key_size
    stolen = SealKey.single(Key("stolen", Purpose.ENCRYPTION_AND_MAC, checking.reveal()[:size]))
    layer = parse(payload, Place.END_TO_END)
    bound = associated(layer, topic) if setup.hardened else b""
    read = setup.ciphers.box(stolen).open(layer.body, bound)
    return f"the key for tags has opened the message: {read.decode()}"


# Messages --------------------------------------------------------------------------------------


def topic_swap(setup: Setup) -> str:
    """A message for one topic is moved to another on its way to B."""
    company = ready(setup, "bob")
    ((_, payload),) = company.publisher.protect(TOPIC, MESSAGE)
    company.broker.inbound(PUBLISHER, "weather/oslo", payload)
    return "B has taken a message of weather/seattle for one of weather/oslo"


def replay(setup: Setup) -> str:
    """B delivers a message twice, in fresh layers of its own."""
    company = ready(setup, "bob")
    bob = company.subscribers["bob"]
    ((topic, payload),) = company.publisher.protect(TOPIC, MESSAGE)
    routed = company.broker.inbound(PUBLISHER, topic, payload)
    opened = [bob.open(topic, company.broker.outbound("bob", topic, routed, {})) for _ in range(2)]
    return f"bob has taken the same message {len(opened)} times: {opened[1].message.decode()}"


def reordering(setup: Setup) -> str:
    """B holds a message back and delivers it after the next one."""
    company = ready(setup, "bob")
    bob = company.subscribers["bob"]
    earlier, later = (company.route(message)["bob"] for message in (b"door open", b"door shut"))
    bob.open(*later)
    return f"bob's latest news is the older one: {bob.open(*earlier).message.decode()}"


def forged_message(
    setup: Setup, insider: Subscriber, message: bytes, topic: str = TOPIC
) -> tuple[str, bytes]:
    """(Topic Name, payload) of a message "from alice, by way of B", made with the insider's group keys.

    For the schemes whose layers are under group keys; raises `KeyError` where the insider is no member.
    """
    stream = insider._streams[PUBLISHER, topic]
    payload = message
    for place, cell in (
        (Place.END_TO_END, setup.row.end_to_end(setup.mode)),
        (Place.FROM_BROKER, setup.row.broker_subscriber),
    ):
        if cell.key is None:
            continue
        key_id = next(each for at, each in stream.openers if at is place)
        boxes = stream.groups[key_id]
        latest = boxes.keyring.latest
        epoch = 0 if latest is None else latest.number
        # A high number, so that it counts as new.
        sealer = Sealer(setup, place, cell.protection, PUBLISHER, key_id, boxes(epoch), epoch, sequence=1_000)
        payload = sealer.seal(topic, payload)
    return topic, payload


def forgery(setup: Setup) -> str:
    """A subscriber makes a message of P's with the group keys."""
    company = ready(setup, "bob", INSIDER)
    sent = forged_message(setup, company.subscribers[INSIDER], FORGED)
    opened = company.subscribers["bob"].open(*sent)
    return f"bob believes that {opened.publisher} said {opened.message.decode()}"


def gone_member(setup: Setup) -> str:
    """A subscriber leaves, and opens what it overhears next."""
    company = ready(setup, "bob", INSIDER)
    company.leave(INSIDER)
    overheard = company.route(MESSAGE)["bob"]
    opened = company.subscribers[INSIDER].open(*overheard)
    return f"mallory has left and reads on: {opened.message.decode()}"


# The table -------------------------------------------------------------------------------------

Refusal = tuple[str, str]
"""Who refuses (P, B, S, or - where no party is concerned), and because of which check."""


@dataclass(frozen=True)
class Attack:
    """One attack, and how it ends."""

    name: str
    """As tables and labs call it."""
    row: int
    """Row of the table of weaknesses (specification 1.7), from 1."""
    adversary: Adversary
    """Who does it."""
    program: Callable[[Setup], str]
    """Runs it."""
    published: Setup
    """The setup that it succeeds against."""
    hardened: Setup
    """The setup that it fails against."""
    stopped_by: Refusal
    """How it fails there."""
    also_beats: Setup | None = None
    """A *hardened* setup that does not stop it: the defence is an option."""

    @property
    def summary(self) -> str:
        """One line."""
        return (self.program.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True)
class Outcome:
    """How one run of an attack ended."""

    attack: Attack
    """Which."""
    setup: Setup
    """Against what."""
    achieved: str = ""
    """What the attacker has; empty where it failed."""
    error: HandshakeError | TamperError | None = None
    """Who noticed, and what."""

    @property
    def succeeded(self) -> bool:
        """True when nobody noticed."""
        return self.error is None

    @property
    def refusal(self) -> Refusal | None:
        """Who refused because of which check; None for an attack that succeeded."""
        if self.error is None:
            return None
        party = self.error.party.partition(" ")[0] or "-"
        if isinstance(self.error, CheckFailed):
            return party, self.error.check.kind.value
        if isinstance(self.error, LayerRefused):
            return party, self.error.check.value
        return party, LayerCheck.TAG.value


def attempt(attack: Attack, setup: Setup) -> Outcome:
    """Run an attack against a setup."""
    try:
        return Outcome(attack, setup, achieved=attack.program(setup))
    except (HandshakeError, TamperError) as error:
        return Outcome(attack, setup, error=error)


def _attack(
    name: str,
    row: int,
    adversary: Adversary,
    program: Callable[[Setup], str],
    scheme: int,
    stopped_by: Refusal,
    suite: str = "paper",
) -> Attack:
    published, hardened = (Setup(scheme, profile, suite) for profile in Profile)
    return Attack(name, row, adversary, program, published, hardened, stopped_by)


_NETWORK, _BROKER, _INSIDER = Adversary
_SIGNATURE = CheckKind.SIGNATURE.value
_SEQUENCE, _KEY, _TAG = LayerCheck.SEQUENCE.value, LayerCheck.KEY.value, LayerCheck.TAG.value

ATTACKS: tuple[Attack, ...] = (
    _attack("identity misbinding", 1, _INSIDER, misbinding, 3, ("P", _SIGNATURE)),
    _attack("mixed parallel runs", 1, _NETWORK, mixed_runs, 3, ("P", _SIGNATURE)),
    _attack("CONNECT as answer", 1, _NETWORK, connect_as_answer, 2, ("B", _SIGNATURE)),
    _attack("replayed CONNECT", 2, _NETWORK, replayed_connect, 3, ("B", CheckKind.UNSEEN.value)),
    # An AEAD says at once that the key is wrong; CBC would say it of 255 wrong keys in 256.
    _attack("one key for all", 3, _NETWORK, one_key, 1, ("-", _TAG), "aes-gcm"),
    _attack("topic swap", 4, _NETWORK, topic_swap, 4, ("B", _TAG)),
    _attack("replayed message", 4, _BROKER, replay, 3, ("S", _SEQUENCE)),
    _attack("reordering", 4, _BROKER, reordering, 3, ("S", _SEQUENCE)),
    replace(
        _attack("insider forgery", 5, _INSIDER, forgery, 3, ("S", LayerCheck.SIGNATURE.value)),
        hardened=Setup(3, sign_messages=True),
        also_beats=Setup(3),
    ),
    _attack("gone member reads", 6, _INSIDER, gone_member, 3, ("S", _KEY)),
)
"""Every attack, in the order of specification 1.7."""


def attack(name: str) -> Attack:
    """The attack of that name. Raises `KeyError`."""
    return {each.name: each for each in ATTACKS}[name]


def run_all(attacks: Iterable[Attack] = ATTACKS) -> str:
    """Run every attack against both profiles; returns a fixed-width table of what came of it."""
    rows = [("attack", "row", "by", "published", "hardened")]
    for each in attacks:
        open_, shut = attempt(each, each.published), attempt(each, each.hardened)
        rows.append((each.name, str(each.row), each.adversary.value, _shown(open_), _shown(shut)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _shown(outcome: Outcome) -> str:
    if outcome.refusal is None:
        return "succeeds"
    party, check = outcome.refusal
    option = " (signed messages)" if outcome.setup.sign_messages else ""
    return f"{party} refuses: {check}{option}" if party != "-" else f"fails: {check}{option}"


def _same(one: PairKeys | None, other: PairKeys) -> bool:
    return one is not None and same_secret(one.forth.encryption, other.forth.encryption)
