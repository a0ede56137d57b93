"""A publisher without its sockets: Block 1, answers to subscribers in Block 2, and protecting messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from mqttsec.crypto import Box, PairKeys, fields
from mqttsec.e2e.channel import Place, Sealer, recipient_topic, signed
from mqttsec.e2e.groups import Circle
from mqttsec.e2e.handshake import Run, Unexpected
from mqttsec.e2e.messages import (
    BrokerHello,
    ForwardedConfirm,
    GroupUpdate,
    Membership,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    SubscriberRequest,
    WrappedKey,
)
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import BROKER, Party
from mqttsec.e2e.terms import ID_S, TOPIC, KeyName, Role, Term
from mqttsec.errors import ConfigurationError, HandshakeError, TamperError

UNCONFIRMED_AT_MOST = 1024
"""How many answered subscribers may owe their confirming message at the same time."""


@dataclass
class _Member:
    """A subscriber of one topic, as its publisher knows it."""

    pair: PairKeys
    """K_PSi."""
    key_id: bytes
    """Names it."""
    sealer: Sealer | None
    """For its own ciphertexts, where the end-to-end key is individual."""


@dataclass
class _Stream:
    """One topic of this publisher."""

    members: dict[str, _Member] = field(default_factory=dict)
    """By name."""
    circle: Circle | None = None
    """GK_P, where the end-to-end key is a group's."""
    sealer: Sealer | None = None
    """For the one ciphertext of the group."""


class Publisher:
    """P. Every method takes and gives messages; one that raises has changed nothing.

    Connecting: `hello` makes step 1, `welcomed` takes step 3. For each subscriber `asked` takes step 7
    and gives step 13. Then `protect` turns an Application Message into what to publish.
    """

    def __init__(self, party: Party, broker: str = BROKER) -> None:
        """`broker` is the name that the broker's certificate must bear."""
        if party.role is not Role.P:
            raise ConfigurationError(f"{party.title} is no publisher")
        self.party = party
        """Who this is."""
        self.broker = broker
        """Whom it connects to."""
        self._begun: Run | None = None
        self._channel: PairKeys | None = None
        self._uplink: Sealer | None = None
        self._notices = 0
        self._notice_box: Box | None = None
        self._streams: dict[str, _Stream] = {}
        self._unconfirmed: OrderedDict[bytes, Run] = OrderedDict()

    # Block 1 -----------------------------------------------------------------------------------

    def hello(self) -> PublisherHello:
        """Step 1. May be called again at any time: for each network connection."""
        self._begun, message = Run.of(self.party, B=self.broker).send(PublisherHello)
        return message

    def welcomed(self, message: BrokerHello) -> PublisherConfirm | None:
        """Step 4: the broker's answer. Gives step 16 where handshakes are confirmed.

        Raises `HandshakeError`.
        """
        if self._begun is None:
            raise Unexpected(
                "no answer is expected: call hello() first, and send what it gives",
                party=self.party.title,
                step="step 4",
            )
        run = self._begun.receive(message)
        confirm = None
        if self.party.setup.script.confirm:
            run, confirm = run.send(PublisherConfirm)
        setup, pair = self.party.setup, run.keys[KeyName.K_PB]
        protection = setup.row.publisher_broker.protection
        box = setup.ciphers.box(pair.sending(self.party.name), self.party.operations)
        self._uplink = (
            None
            if protection is Protection.NONE
            else Sealer(setup, Place.TO_BROKER, protection, self.party.name, run.key_id(KeyName.K_PB), box)
        )
        self._notice_box = setup.ciphers.box(pair.receiving(self.party.name))
        self._begun, self._channel, self._notices = None, pair, 0
        return confirm

    @property
    def connected(self) -> bool:
        """True once there is a K_PB."""
        return self._channel is not None

    # Block 2 -----------------------------------------------------------------------------------

    def asked(self, correlation: bytes, request: SubscriberRequest) -> PublisherAnswer:
        """Steps 8 and 13: a subscriber's request came; the answer to it.

        `correlation` is the Correlation Data that the request came with: it finds the run again when the
        confirming message comes. Raises `HandshakeError` for a request that is refused.
        """
        run = Run.of(self.party, B=self.broker).receive(request)
        topic, name = run.text(TOPIC), run.text(ID_S)
        stream = self._streams.get(topic) or self._new_stream()
        circle = stream.circle.joined(name) if stream.circle is not None else None

        def give(run: Run, wrap: Term) -> WrappedKey | None:
            if circle is None:
                return None
            return circle.wrap(self.party, name, run.keys[KeyName.K_PS].sending(self.party.name))

        run, answer = run.send(PublisherAnswer, give=give)
        stream.circle = circle
        self._streams[topic] = stream
        self._enter(stream, name, run)
        if self.party.setup.script.confirm:
            self._unconfirmed[correlation] = run
            if len(self._unconfirmed) > UNCONFIRMED_AT_MOST:
                self._unconfirmed.popitem(last=False)
        return answer

    def confirmed(self, correlation: bytes, message: ForwardedConfirm) -> None:
        """Step 19: the subscriber has K_PSi, so its request was no replay.

        Raises `HandshakeError`; a subscriber whose message is wrong is then to leave (`disown`).
        """
        run = self._unconfirmed.get(correlation)
        if run is None:
            raise Unexpected(
                "nobody owes a confirming message with this Correlation Data: ignore it",
                party=self.party.title,
                step="step 19",
            )
        run.receive(message)
        del self._unconfirmed[correlation]

    def disown(self, correlation: bytes) -> tuple[str, dict[str, GroupUpdate]]:
        """The subscriber whose step 19 was wrong is served no longer.

        Gives the topic, and what the others must be sent, as `leave`; nothing where it has made another
        handshake since: that one stands for itself.
        """
        run = self._unconfirmed.pop(correlation, None)
        if run is None:
            return "", {}
        topic, name = run.text(TOPIC), run.text(ID_S)
        member = self._streams[topic].members.get(name)
        if member is None or member.key_id != run.key_id(KeyName.K_PS):
            return topic, {}
        return topic, self.leave(topic, name)

    def _new_stream(self) -> _Stream:
        setup = self.party.setup
        if KeyName.GK_P not in setup.row.keys(setup.mode):
            return _Stream()
        circle = Circle.new(self.party, KeyName.GK_P)
        return _Stream(circle=circle)

    def _enter(self, stream: _Stream, name: str, run: Run) -> None:
        pair, key_id = run.keys[KeyName.K_PS], run.key_id(KeyName.K_PS)
        sealer = None
        if stream.circle is None:
            sealer = self._inner(key_id, self._box(pair))
        stream.members[name] = _Member(pair, key_id, sealer)
        self._rekey(stream)

    def _inner(self, key_id: bytes, box: Box, epoch: int = 0) -> Sealer:
        setup = self.party.setup
        protection = setup.row.end_to_end(setup.mode).protection
        return Sealer(setup, Place.END_TO_END, protection, self.party.name, key_id, box, epoch)

    def _box(self, pair: PairKeys) -> Box:
        return self.party.setup.ciphers.box(pair.sending(self.party.name), self.party.operations)

    def _rekey(self, stream: _Stream) -> None:
        circle = stream.circle
        if circle is None or (stream.sealer is not None and stream.sealer.epoch == circle.epoch):
            return
        box = self.party.setup.ciphers.box(circle.group.current.keys, self.party.operations)
        if stream.sealer is None:
            stream.sealer = self._inner(circle.key_id, box, circle.epoch)
        else:
            stream.sealer.rekey(circle.epoch, box)

    # Members -----------------------------------------------------------------------------------

    def members(self, topic: str) -> tuple[str, ...]:
        """Who may read a topic, in order of joining."""
        stream = self._streams.get(topic)
        return tuple(stream.members) if stream is not None else ()

    def epoch(self, topic: str) -> int | None:
        """The epoch of GK_P for a topic, as headers show it; None where there is no such key."""
        stream = self._streams.get(topic)
        return stream.circle.epoch if stream is not None and stream.circle is not None else None

    def departed(self, notice: Membership) -> dict[str, GroupUpdate]:
        """The broker says that a subscriber left: see `leave`.

        Raises `TamperError` for a notice that the broker of this connection did not make, or made before.
        """
        if self._notice_box is None:
            raise TamperError("there is no broker yet that could tell: connect first", party=self.party.title)
        if notice.sequence <= self._notices:
            raise TamperError("this notice came before: ignore it", party=self.party.title)
        try:
            self._notice_box.check(notice_covers(notice), notice.tag)
        except TamperError as error:
            raise error.at(self.party.title) from None
        self._notices = notice.sequence
        return self.leave(notice.topic, notice.subscriber)

    def leave(self, topic: str, subscriber: str) -> dict[str, GroupUpdate]:
        """Serve a subscriber no longer. Gives, by name, what the others must be sent first.

        Under *hardened* that is a new GK_P for each. Under *published* nothing: it still reads (1.7).
        """
        stream = self._streams.get(topic)
        if stream is None or subscriber not in stream.members:
            return {}
        circle = stream.circle.left(subscriber) if stream.circle is not None else None
        others = {name: member for name, member in stream.members.items() if name != subscriber}
        updates = {}
        if circle is not None and self.party.setup.hardened:
            updates = {
                name: GroupUpdate(
                    self.party.name,
                    topic,
                    KeyName.GK_P.value,
                    member.key_id,
                    circle.wrap(self.party, name, member.pair.sending(self.party.name)),
                )
                for name, member in others.items()
            }
        stream.members, stream.circle = others, circle
        self._rekey(stream)
        return updates

    # Block 3 -----------------------------------------------------------------------------------

    def protect(self, topic: str, message: bytes) -> list[tuple[str, bytes]]:
        """What to publish of an Application Message: (Topic Name, payload) pairs.

        One for each subscriber where the end-to-end key is individual, else one. None where nobody has
        asked for the topic yet: there is no key that anybody could read it with.
        """
        return list(self.copies(topic, message))

    def copies(self, topic: str, message: bytes) -> Iterator[tuple[str, bytes]]:
        """`protect`, each copy sealed when it is asked for: the first can be on its way before the last."""
        if self._channel is None:
            raise HandshakeError(
                "there is no channel to the broker yet: connect first", party=self.party.title
            )
        stream = self._streams.get(topic)
        if stream is None:
            return
        if stream.sealer is not None:
            yield topic, self._put(topic, stream.sealer, message)
            return
        for name, member in stream.members.items():
            if member.sealer is not None:
                wire_topic = recipient_topic(topic, name)
                yield wire_topic, self._put(wire_topic, member.sealer, message)

    def _put(self, wire_topic: str, sealer: Sealer, message: bytes) -> bytes:
        party = self.party
        if party.setup.sign_messages:
            layer = sealer.put(wire_topic, message)
            payload = signed(layer, wire_topic, party.identity, party.setup, party.operations).encode()
        else:
            payload = sealer.seal(wire_topic, message)
        return payload if self._uplink is None else self._uplink.seal(wire_topic, payload)


def notice_covers(notice: Membership) -> bytes:
    """What the tag of a notice is over."""
    return fields("mqttsec membership", notice.subscriber, notice.topic, notice.sequence.to_bytes(8, "big"))
