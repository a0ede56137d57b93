"""What the broker lets whom do under the schemes, and the channel of each client that speaks one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mqttsec.e2e import control
from mqttsec.e2e.broker import Broker
from mqttsec.e2e.channel import LayerRefused, recipient_topic
from mqttsec.e2e.journal import Journal
from mqttsec.e2e.terms import KeyName
from mqttsec.mqtt5.session import Session
from mqttsec.packets import Properties, ReasonCode


@dataclass(frozen=True)
class Sealing:
    """The `series` of all channels of one broker side: each receiver's copy under its own key."""

    machine: Broker
    """B."""
    journal: Journal
    """Where its work is entered."""

    def __call__(
        self, topic: str, payload: bytes, shared: dict[Any, Any], client_ids: Sequence[str]
    ) -> Iterator[bytes | None]:
        """What each of these clients is sent, one after the other; None for one who is no receiver."""
        copies = self.machine.outbound_each(topic, payload, shared, client_ids)
        return self._entered(topic, client_ids, copies) if self.journal.listens else copies

    def _entered(
        self, topic: str, client_ids: Sequence[str], copies: Iterator[bytes | None]
    ) -> Iterator[bytes | None]:
        for client_id, sealed in zip(client_ids, copies, strict=True):
            if sealed is not None:
                self.journal.forwarded(client_id, f"a message on {topic}")
            yield sealed


class SchemeChannel:
    """Block 3 for one client: layers come off what it publishes, and go onto what it gets.

    `taken` is told (publisher, topic, payload, properties) of each message that is routed.
    """

    def __init__(
        self,
        machine: Broker,
        protected: control.Protected,
        journal: Journal,
        client_id: str,
        taken: Callable[[str, str, bytes, Properties], None],
    ) -> None:
        self.client_id = client_id
        """Whose channel."""
        self.series = Sealing(machine, journal)
        """Makes the copies of all who have a key of their own."""
        self._taken = taken
        self._machine = machine
        self._protected = protected
        self._journal = journal

    def inbound(self, topic: str, payload: bytes, properties: Properties) -> tuple[bytes, Properties]:
        """What is routed of a publisher's message. Raises `LayerRefused`."""
        if not self._protected.covers(topic):
            return payload, properties
        try:
            body = self._machine.inbound(self.client_id, topic, payload)
        except LayerRefused as error:
            self._journal.rejected(self.client_id, error)
            raise
        if self._journal.listens:
            self._journal.checked(self.client_id, f"a message on {topic}")
        self._taken(self.client_id, topic, body, properties)
        return body, properties

    def outbound(
        self, topic: str, payload: bytes, properties: Properties, shared: dict[Any, Any]
    ) -> tuple[bytes, Properties]:
        """What a subscriber is sent. Raises `LayerRefused` for one who is no receiver."""
        if not self._protected.covers(topic):
            return payload, properties
        sealed = self._machine.outbound(self.client_id, topic, payload, shared)
        if self._journal.listens:
            self._journal.forwarded(self.client_id, f"a message on {topic}")
        return sealed, properties

    def alike(self, topic: str) -> Hashable | None:
        """The publishers of a topic that this client receives, where all their receivers get the same bytes.

        None where they do not: the key between B and S is individual, or the topic is.
        """
        if not self._protected.covers(topic):
            return ()
        setup = self._machine.party.setup
        if setup.individual or setup.row.broker_subscriber.key is KeyName.K_BS:
            return None
        streams = self._machine.streams(self.client_id)
        return tuple(sorted(publisher for publisher, wanted in streams if wanted == topic)) or None

    def __repr__(self) -> str:
        return f"<channel of {self.client_id!r}>"


class SchemeGuard:
    """Protected topics are for those who speak the scheme, control topics for the handshake alone."""

    def __init__(
        self, machine: Broker, protected: control.Protected, channels: Mapping[str, SchemeChannel]
    ) -> None:
        self._machine = machine
        self._protected = protected
        self._channels = channels

    def admit(self, session: Session) -> int:
        """A client without a scheme may not take the name, and so the session, of one with a scheme."""
        taken = session.client_id in self._channels
        return ReasonCode.NOT_AUTHORIZED if taken else ReasonCode.SUCCESS

    def publish(self, session: Session, topic: str) -> int:
        """Protected topics: with a channel, which has the last word. Control topics: publishers alone."""
        if control.is_reserved(topic):
            allowed = self._speaks(session) and session.client_id in self._machine.publishers
        else:
            allowed = not self._protected.covers(topic) or self._speaks(session)
        return ReasonCode.SUCCESS if allowed else ReasonCode.NOT_AUTHORIZED

    def subscribe(self, session: Session, topic_filter: str) -> int:
        """Protected topics: what the client's handshakes were for. Control topics: nobody."""
        if control.is_reserved(topic_filter):
            return ReasonCode.NOT_AUTHORIZED
        if not self._protected.covers(topic_filter):
            return ReasonCode.SUCCESS
        allowed = self._speaks(session) and any(
            topic_filter == own_filter(self._machine, topic, session.client_id)
            for _, topic in self._machine.streams(session.client_id)
        )
        return ReasonCode.SUCCESS if allowed else ReasonCode.NOT_AUTHORIZED

    def receive(self, session: Session, topic: str) -> bool:
        """A wider subscription brings nothing of protected topics to one without a channel."""
        if control.is_reserved(topic):
            return self._speaks(session) and topic == control.control_topic(session.client_id)
        return not self._protected.covers(topic) or self._speaks(session)

    @staticmethod
    def _speaks(session: Session) -> bool:
        return isinstance(session.channel, SchemeChannel)


def own_filter(machine: Broker, topic: str, client_id: str) -> str:
    """What a subscriber of `topic` subscribes to."""
    return recipient_topic(topic, client_id) if machine.party.setup.individual else topic
