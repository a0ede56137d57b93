"""One message through one scheme: what travels, who computes what, who opens what; and a changed bit.

Everything here is taken from a run of the real machines; beside it stands what the table of the schemes
(`e2e.schemes`) and the model of tampering (`e2e.predictions`) say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mqttsec.crypto import Epoch, Operation, Profile, Tally
from mqttsec.e2e import LayerCheck, LayerRefused, Mode, Protection, Role, Setup, Wire, decode
from mqttsec.e2e.channel import Place
from mqttsec.e2e.company import Company, Sent
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.predictions import predict_layer
from mqttsec.e2e.schemes import Cell, layers, operations
from mqttsec.errors import ConfigurationError
from mqttsec.labs.key_search import NO_KEYS, Keys, Opening, keys_in_memory, try_open
from mqttsec.labs.over_sockets import SocketCompany
from mqttsec.labs.station import BROKER, STATION, TOPIC

CHANNEL = {Place.TO_BROKER: "P-B", Place.FROM_BROKER: "B-S", Place.END_TO_END: "P-S"}
"""The channel that a layer protects, as the table of the schemes has it."""

LISTENER, OTHER = "listener", "another subscriber"


@dataclass(frozen=True)
class Leg:
    """What went over one wire for one message."""

    wire: Wire
    """P-B or B-S."""
    cells: tuple[Cell, ...]
    """Its layers, the outermost first."""
    copies: int
    """How many PUBLISH went over it."""
    different: int
    """How many of these payloads differ from each other."""
    size: int
    """Bytes of the first payload."""
    total: int
    """Bytes of all payloads."""

    @property
    def sameness(self) -> str:
        """In words: one, the same bytes to all, or pairwise different."""
        if self.copies == 1:
            return "1 payload"
        if self.different == 1:
            return f"the same bytes to all {self.copies}"
        if self.different == self.copies:
            return f"{self.copies} payloads, pairwise different"
        return f"{self.copies} payloads, {self.different} different ones"


@dataclass(frozen=True)
class Observer:
    """What one party makes of the bytes on both wires, with every key in its memory."""

    name: str
    """Who."""
    keys: tuple[str, ...]
    """The keys found, by the paper's names."""
    to_broker: Opening
    """What came of the payload between P and B."""
    from_broker: Opening
    """What came of the payload between B and the first subscriber."""

    @property
    def reads(self) -> bool:
        """Whether it has the Application Message."""
        return self.to_broker.message is not None or self.from_broker.message is not None


@dataclass(frozen=True)
class Passage:
    """A message that went from P through B to all subscribers."""

    setup: Setup
    """Scheme, profile, suite, mode."""
    message: bytes
    """The Application Message."""
    subscribers: tuple[str, ...]
    """Who received it."""
    received: tuple[bytes, ...]
    """What they opened, in this order."""
    counted: dict[Role, Tally]
    """Operations of P, of B, and of each S."""
    legs: tuple[Leg, Leg]
    """P-B and B-S."""
    observers: tuple[Observer, ...]
    """Who looked at the bytes."""

    @property
    def expected(self) -> dict[Role, Tally]:
        """The same operations by the table of the paper."""
        return operations(self.setup.row, self.setup.mode, len(self.subscribers))

    def is_like(self, other: Passage) -> bool:
        """Whether all that was counted and seen is the same as in another run, whose keys were others."""
        mine, theirs = (
            (
                each.received,
                each.counted,
                each.legs,
                [(one.name, one.keys, one.reads) for one in each.observers],
            )
            for each in (self, other)
        )
        return mine == theirs

    def observer(self, name: str) -> Observer:
        """One of the observers. Raises `ConfigurationError` if there is none of this name."""
        for observer in self.observers:
            if observer.name == name:
                return observer
        names = ", ".join(observer.name for observer in self.observers)
        raise ConfigurationError(f"nobody here is called {name!r}; ask for {names}")


def send(company: Company, message: bytes) -> Passage:
    """Publish one message in `company` and follow it. Raises `AssertionError` where receivers disagree."""
    names = company.members
    before = company.tallies()
    sent = company.publisher.protect(TOPIC, message)
    delivered = {name: each for one in sent for name, each in company.forward(one).items()}
    opened = tuple(company.subscribers[name].open(*delivered[name]).message for name in names)
    spent = {name: tally - before[name] for name, tally in company.tallies().items()}
    machines = {BROKER: company.broker, **company.subscribers}
    return _passage(
        company.setup, message, opened, spent, sent, [delivered[name] for name in names], machines
    )


def send_over_sockets(setup: Setup, message: bytes, names: tuple[str, ...]) -> Passage:
    """The same over TCP, with a broker on 127.0.0.1 and paho clients called `names`.

    Raises `ConnectionFailed`, `HandshakeError` or `TimedOut`.
    """
    with SocketCompany(setup, STATION, TOPIC) as company:
        for name in names:
            company.join(name)
        before = company.tallies()
        opened = company.publish(message)
        spent = {name: tally - before[name] for name, tally in company.tallies().items()}
        machines = {name: each.end.machine for name, each in company.subscribers.items()}
        up, down = company.messages_of(STATION), company.messages_of(BROKER)
        return _passage(
            setup,
            message,
            tuple(opened[name] for name in names),
            spent,
            up,
            down,
            {BROKER: company.side.machine, **machines},
        )


def _passage(
    setup: Setup,
    message: bytes,
    opened: tuple[bytes, ...],
    spent: dict[str, Tally],
    up: list[Sent],
    down: list[Sent],
    machines: dict[str, Any],
) -> Passage:
    names = tuple(name for name in machines if name != BROKER)
    each = {spent[name] for name in names}
    assert len(each) == 1, "every subscriber does the same"
    counted = {Role.P: spent[STATION], Role.B: spent[BROKER], Role.S: each.pop()}
    parties: list[tuple[str, Keys]] = [
        (LISTENER, NO_KEYS),
        (BROKER, keys_in_memory(machines[BROKER])),
        *(
            (title, keys_in_memory(machines[name]))
            for title, name in zip((names[0], OTHER), names, strict=False)
        ),
    ]
    observers = tuple(
        Observer(name, keys.names(), try_open(setup, keys, *up[0]), try_open(setup, keys, *down[0]))
        for name, keys in parties
    )
    legs = (_leg(setup, Wire.P_B, up), _leg(setup, Wire.B_S, down))
    return Passage(setup, message, names, opened, counted, legs, observers)


def _leg(setup: Setup, wire: Wire, sent: list[Sent]) -> Leg:
    payloads = [payload for _, payload in sent]
    cells = layers(setup.row, wire, setup.mode)
    return Leg(wire, cells, len(sent), len(set(payloads)), len(payloads[0]), sum(map(len, payloads)))


# A changed bit ---------------------------------------------------------------------------------

WHERE = ("station to broker", "inside the broker", "broker to subscriber")
"""Where something is changed: on a wire by an outsider, or by the broker itself below its own layer."""
WHAT = ("content", "tag", "number", "replay")
"""What: a bit of the content or of the tag, a bit of the sequence number, or nothing, but sent twice."""


@dataclass(frozen=True)
class Verdict:
    """Who refuses a message, and why."""

    party: str = "nobody"
    """broker, subscriber or nobody."""
    channel: str = "-"
    """Whose protection noticed: P-B, B-S or P-S."""
    check: str = "-"
    """What failed: form, key, sequence, tag."""

    def __str__(self) -> str:
        return self.party if self.party == "nobody" else f"{self.party}: {self.check} of {self.channel}"


@dataclass(frozen=True)
class Flip:
    """What became of a message that was changed."""

    passage: Passage
    """An unchanged message through the same company."""
    where: str
    """One of `WHERE`."""
    what: str
    """One of `WHAT`."""
    place: Place
    """The layer that was changed: the outermost at that place."""
    predicted: Verdict
    """By the model."""
    seen: Verdict
    """By the run."""


def flip(company: Company, passage: Passage, where: str, what: str) -> Flip:
    """Publish `passage.message` once more in `company`, with a change.

    Raises `ConfigurationError` for a place or a change that there is not.
    """
    if where not in WHERE or what not in WHAT:
        raise ConfigurationError(
            f"flip({where!r}, {what!r}): the places are {', '.join(WHERE)}; the changes {', '.join(WHAT)}"
        )
    changed: list[tuple[Layer, Layer]] = []

    def change(payload: bytes) -> bytes:
        layer = decode(payload, Layer)
        changed.append((layer, layer if what == "replay" else _changed(layer, what)))
        return changed[-1][1].encode()

    seen = _run(company, passage.message, WHERE.index(where), what == "replay", change)
    original, tampered = changed[0]
    predicted = _predict(company.setup, original, tampered, what == "replay")
    return Flip(passage, where, what, Place(original.layer), predicted, seen)


def _changed(layer: Layer, what: str) -> Layer:
    if what == "number":
        return replace(layer, sequence=layer.sequence ^ 1 << 20)
    if what == "tag" and layer.tag:
        return replace(layer, tag=_flipped(layer.tag, -1))
    # Sealed, the tag is the end of the body.
    return replace(layer, body=_flipped(layer.body, -1 if what == "tag" else len(layer.body) // 2))


def _flipped(data: bytes, at: int) -> bytes:
    whole = bytearray(data)
    whole[at] ^= 1
    return bytes(whole)


def _run(
    company: Company, message: bytes, place: int, twice: bool, change: Callable[[bytes], bytes]
) -> Verdict:
    victim = company.members[0]
    topic, payload = company.publisher.protect(TOPIC, message)[0]
    hops = [change if at == place else bytes for at in range(3)]
    # What is replayed came in full before: all as it was, up to the place from which it comes again.
    if twice:
        routed = company.broker.inbound(STATION, topic, payload)
        first = company.deliver((topic, routed))[victim][1]
        company.subscribers[victim].open(topic, first)
    try:
        up = hops[0](payload)
        if not twice or place == 0:
            routed = company.broker.inbound(STATION, topic, up)
        inside = hops[1](routed)
        if not twice or place < 2:
            first = company.deliver((topic, inside))[victim][1]
    except LayerRefused as refused:
        # B has one layer to look at, but where there is none for it, it only looks whether it is one.
        return Verdict("broker", "P-B", refused.check.value)
    before = company.operations[victim].tally
    try:
        company.subscribers[victim].open(topic, hops[2](first))
    except LayerRefused as refused:
        spent = company.operations[victim].tally - before
        return Verdict("subscriber", _noticed(company.setup, refused.check, spent), refused.check.value)
    return Verdict()


def _noticed(setup: Setup, check: LayerCheck, spent: Tally) -> str:
    """The layer at which S stopped, told by the tags that it had checked until then."""
    passed = spent[Operation.H] - (check is LayerCheck.TAG)
    outer = setup.row.broker_subscriber.protection is not Protection.NONE
    return "B-S" if outer and not passed else "P-S"


def _predict(setup: Setup, original: Layer, tampered: Layer, replay: bool) -> Verdict:
    place = Place(original.layer)
    cell = {
        Place.TO_BROKER: setup.row.publisher_broker,
        Place.FROM_BROKER: setup.row.broker_subscriber,
        Place.END_TO_END: setup.row.end_to_end(setup.mode),
    }[place]
    check = predict_layer(setup, cell, original, tampered, True, Epoch.of(original.epoch), replay)
    if check is None:
        return Verdict()
    return Verdict("broker" if place is Place.TO_BROKER else "subscriber", CHANNEL[place], check.value)


def setup_of(scheme: int, suite: str, mode: str, profile: str) -> Setup:
    """A setup from words. Raises `ConfigurationError` for one that there is not."""
    try:
        return Setup(scheme, Profile(profile), suite, mode=Mode(mode))
    except ValueError as error:
        raise ConfigurationError(
            f"{error}; profiles: published, hardened; modes: {', '.join(mode.value for mode in Mode)}"
        ) from None
