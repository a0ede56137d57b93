"""Who receives a publisher's topic, as the broker knows it: keys between B and S, and the outer layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from mqttsec.crypto import Box, PairKeys
from mqttsec.e2e.channel import LayerCheck, LayerRefused, Place, Sealer, speaker, split_recipient
from mqttsec.e2e.groups import Circle
from mqttsec.e2e.handshake import Run
from mqttsec.e2e.messages import GroupUpdate, WrappedKey
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import Party
from mqttsec.e2e.terms import ID_P, ID_S, TOPIC, KeyName
from mqttsec.errors import ConfigurationError

Stream = tuple[str, str]
"""(publisher, topic)."""


@dataclass
class _Member:
    """A receiver of one stream."""

    pair: PairKeys
    """K_BSi."""
    key_id: bytes
    """Names it."""
    sealer: Sealer | None
    """Where the key between B and S is individual."""


_Line = tuple[Sequence[str], Sequence[Sealer | None]]
# Client Identifiers, and the sealer of each; None for one who is no receiver.
_LINES_KEPT = 4096
# For so many Topic Names: where each subscriber has a topic of its own, they are many.


@dataclass
class _Audience:
    """The receivers of one stream."""

    members: dict[str, _Member] = field(default_factory=dict)
    """By Client Identifier."""
    circle: Circle | None = None
    """GK_B, where the key between B and S is a group's."""
    sealer: Sealer | None = None
    """For the group."""

    @property
    def empty(self) -> bool:
        """True when nobody receives, and nobody holds the group's key."""
        return not self.members and (self.circle is None or not self.circle.group.members)


class Audiences:
    """The receivers of all streams."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self._by_stream: dict[Stream, _Audience] = {}
        self._routed: tuple[bytes, str] = (b"", "")
        self._seals_for_each = party.setup.row.broker_subscriber.key is KeyName.K_BS
        self._lines: dict[tuple[str, str], _Line] = {}
        # By publisher and Topic Name, whom the last message was for; whoever changes members empties it.

    def members(self, stream: Stream) -> tuple[str, ...]:
        """The receivers of a stream, in order of joining."""
        audience = self._by_stream.get(stream)
        return tuple(audience.members) if audience is not None else ()

    def streams(self, client_id: str) -> tuple[Stream, ...]:
        """The streams that a subscriber receives."""
        return tuple(stream for stream, audience in self._by_stream.items() if client_id in audience.members)

    def epoch(self, stream: Stream) -> int | None:
        """The epoch of GK_B for a stream, as headers show it; None where there is no such key."""
        audience = self._by_stream.get(stream)
        return audience.circle.epoch if audience is not None and audience.circle is not None else None

    # Coming and going --------------------------------------------------------------------------

    def invited(self, stream: Stream, client_id: str) -> Circle | None:
        """The group of a stream as it will be with one more member; None where there is no group.

        Nothing has changed before `invite`.
        """
        if self._party.setup.row.broker_subscriber.key is not KeyName.GK_B:
            return None
        audience = self._by_stream.get(stream)
        circle = audience.circle if audience is not None else None
        return (circle or Circle.new(self._party, KeyName.GK_B)).joined(client_id)

    def invite(self, stream: Stream, circle: Circle | None) -> None:
        """`circle` is the group from now on: its new member holds the key, and receives once entered."""
        if circle is not None:
            audience = self._by_stream.setdefault(stream, _Audience())
            audience.circle = circle
            self._rekey(audience, stream)

    def enter(self, run: Run, given: int) -> tuple[GroupUpdate, ...]:
        """S receives what it asked for; `run` is the broker's view of its handshake.

        Gives what S must be sent at once: the generations of GK_B that have begun since the epoch `given`,
        which is the one that it got in step 14.
        """
        party, stream, client_id = self._party, (run.text(ID_P), run.text(TOPIC)), run.text(ID_S)
        pair, key_id = run.keys[KeyName.K_BS], run.key_id(KeyName.K_BS)
        sealer = None
        if party.setup.row.broker_subscriber.key is KeyName.K_BS:
            box = party.setup.ciphers.box(pair.sending(party.name), party.operations)
            sealer = self._sealer(stream, key_id, box)
        audience = self._by_stream.setdefault(stream, _Audience())
        member = audience.members[client_id] = _Member(pair, key_id, sealer)
        self._lines.clear()
        if audience.circle is None:
            return ()
        missed = audience.circle.missed(party, client_id, pair.sending(party.name), given)
        return tuple(_update(stream, member, wrapped) for wrapped in missed)

    def leave(self, stream: Stream, client_id: str) -> dict[str, GroupUpdate]:
        """S receives no longer. Gives what the others must be sent (*hardened*): a new GK_B for each."""
        audience = self._by_stream.get(stream)
        if audience is None:
            return {}
        circle, renewed = audience.circle, False
        others = {name: member for name, member in audience.members.items() if name != client_id}
        if circle is not None:
            renewed = circle.group.member(client_id) is not None and self._party.setup.hardened
            circle = circle.left(client_id)
        updates = self._updates(stream, circle, others) if circle is not None and renewed else {}
        audience.members, audience.circle = others, circle
        self._lines.clear()
        if audience.empty:
            del self._by_stream[stream]
        else:
            self._rekey(audience, stream)
        return updates

    def _updates(self, stream: Stream, circle: Circle, members: dict[str, _Member]) -> dict[str, GroupUpdate]:
        party = self._party
        return {
            name: _update(stream, member, circle.wrap(party, name, member.pair.sending(party.name)))
            for name, member in members.items()
        }

    def _sealer(self, stream: Stream, key_id: bytes, box: Box, epoch: int = 0) -> Sealer:
        setup = self._party.setup
        protection = setup.row.broker_subscriber.protection
        return Sealer(setup, Place.FROM_BROKER, protection, stream[0], key_id, box, epoch)

    def _rekey(self, audience: _Audience, stream: Stream) -> None:
        circle = audience.circle
        if circle is None or (audience.sealer is not None and audience.sealer.epoch == circle.epoch):
            return
        box = self._party.setup.ciphers.box(circle.group.current.keys, self._party.operations)
        if audience.sealer is None:
            audience.sealer = self._sealer(stream, circle.key_id, box, circle.epoch)
        else:
            audience.sealer.rekey(circle.epoch, box)

    # Block 3 -----------------------------------------------------------------------------------

    def routes(self, payload: bytes, publisher: str) -> None:
        """`payload`, which is about to be routed, is of `publisher`: it need not be looked up again."""
        self._routed = payload, publisher

    def seal(self, client_id: str, wire_topic: str, payload: bytes, shared: dict[Any, Any]) -> bytes:
        """A message with the layer between B and S; see `Broker.outbound`."""
        audience, member = self._receiver(self._publisher(payload, shared), client_id, wire_topic)
        if self._party.setup.row.broker_subscriber.protection is Protection.NONE:
            return payload
        if member.sealer is not None:
            return member.sealer.seal(wire_topic, payload)
        sealer = audience.sealer
        assert sealer is not None, "a group has a key"
        # A message that waited while somebody left is sealed again, under the key that those who stayed have.
        made = (sealer.key_id, sealer.epoch)
        sealed: bytes | None = shared.get(made)
        if sealed is None:
            sealed = shared[made] = sealer.seal(wire_topic, payload)
        return sealed

    def seal_each(
        self, wire_topic: str, payload: bytes, shared: dict[Any, Any], client_ids: Sequence[str]
    ) -> Iterator[bytes | None]:
        """What `seal` gives for one after the other, None where it refuses. The hot path of Scheme 2."""
        try:
            publisher = self._publisher(payload, shared)
        except LayerRefused:
            yield from repeat(None, len(client_ids))
            return
        if self._seals_for_each:
            line = self._lines.get((publisher, wire_topic))
            if line is None or line[0] is not client_ids:
                line = self._line_up(publisher, wire_topic, client_ids)
            for sealer in line[1]:
                try:
                    sealed = None if sealer is None else sealer.seal(wire_topic, payload)
                except ConfigurationError:
                    sealed = None  # its key has sealed as many messages as it may: the others' have not
                yield sealed
            return
        plain = self._party.setup.row.broker_subscriber.protection is Protection.NONE
        members, recipient = self._members_of(publisher, wire_topic)
        for client_id in client_ids:
            if client_id not in members or recipient not in (None, client_id):
                yield None
            elif plain:
                yield payload
            else:
                yield self.seal(client_id, wire_topic, payload, shared)

    def _line_up(self, publisher: str, wire_topic: str, client_ids: Sequence[str]) -> _Line:
        members, recipient = self._members_of(publisher, wire_topic)
        sealers = [
            members[client_id].sealer if client_id in members and recipient in (None, client_id) else None
            for client_id in client_ids
        ]
        line = client_ids, sealers
        # A sequence that may change is not known again by being the same.
        if isinstance(client_ids, tuple):
            if len(self._lines) >= _LINES_KEPT:
                self._lines.clear()
            self._lines[publisher, wire_topic] = line
        return line

    def _members_of(self, publisher: str, wire_topic: str) -> tuple[dict[str, _Member], str | None]:
        """The members of what is published on a Topic Name, and the one whom it is for; None: all."""
        topic, recipient = wire_topic, None
        if self._party.setup.individual:
            topic, recipient = split_recipient(wire_topic)
        audience = self._by_stream.get((publisher, topic))
        return {} if audience is None else audience.members, recipient

    def _publisher(self, payload: bytes, shared: dict[Any, Any]) -> str:
        """Whose message a payload is. Raises `LayerRefused` where it is none."""
        publisher: str | None = shared.get("publisher")
        if publisher is None:
            routed, publisher = self._routed
            if routed is not payload:
                publisher = speaker(payload)
            shared["publisher"] = publisher
        return publisher

    def _receiver(self, publisher: str, client_id: str, wire_topic: str) -> tuple[_Audience, _Member]:
        setup = self._party.setup
        topic, recipient = wire_topic, client_id
        if setup.individual:
            topic, recipient = split_recipient(wire_topic)
        audience = self._by_stream.get((publisher, topic))
        member = audience.members.get(client_id) if audience is not None else None
        if audience is None or member is None or recipient != client_id:
            raise LayerRefused(f"{client_id!r} is no receiver of {wire_topic!r}", LayerCheck.KEY)
        return audience, member


def _update(stream: Stream, member: _Member, wrapped: WrappedKey) -> GroupUpdate:
    return GroupUpdate(*stream, KeyName.GK_B.value, member.key_id, wrapped)
