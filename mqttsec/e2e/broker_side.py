"""The broker's part of the schemes, plugged into the MQTT 5 broker by its hooks.

    side = BrokerSide(identity, trust, Setup(scheme=3), protects=("weather/#",))
    broker = Broker(extensions=[side])

It is an authentication method (Blocks 1 and 2), a guard of topics, a channel for each client (Block 3),
and a service on the control topics. The broker's own modules know nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from mqttsec.crypto import Identity, Operations, TrustAnchor
from mqttsec.e2e import control
from mqttsec.e2e.access import SchemeChannel, SchemeGuard, own_filter
from mqttsec.e2e.broker import Broker, Departure, Joined, Ticket
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.handshake import read
from mqttsec.e2e.journal import Journal
from mqttsec.e2e.messages import (
    GroupUpdate,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    Refusal,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.e2e.setup import Party, Setup
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.e2e.waiting import WaitingRoom
from mqttsec.errors import ConfigurationError, HandshakeError, MalformedPacketError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess
from mqttsec.mqtt5 import Broker as MqttBroker
from mqttsec.mqtt5.fanout import deliver
from mqttsec.mqtt5.message import Form, forwarded
from mqttsec.mqtt5.message import Message as MqttMessage
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.packets import NO_PROPERTIES, Properties, ReasonCode
from mqttsec.packets.topics import check_topic_filter

EVERYTHING = ("#",)
"""All topics but those that begin with $."""

HALF_OPEN_AT_MOST = 1000
"""How many handshakes may be unfinished at the same time."""

OWED_AT_MOST = 10_000
"""How many departures are remembered for publishers that are away."""


class BrokerSide:
    """B, for all clients that speak one setup; others have normal service on topics that are not protected.

    Args:
        identity: B's key pair and certificate; parties expect its name.
        trust: the authority whose certificates it believes.
        setup: what the parties have in common; the method's name says it.
        protects: Topic Filters under which only messages of the schemes pass.
        limit: seconds that a subscriber may wait for its publisher; then 0x88 Server unavailable.
        patience: seconds between two rounds of "keep waiting" (steps 9 to 12).
        half_open_at_most: subscribers in Block 2 at the same time, and publishers that owe their confirming
            message; past it 0x89 Server busy.
        clock: seconds since 1970.
        operations: counts B's cryptographic operations; None: nothing is counted.

    Raises:
        ConfigurationError: for a filter or a time that cannot work.

    """

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        protects: tuple[str, ...] = EVERYTHING,
        limit: float = 30.0,
        patience: float = 5.0,
        half_open_at_most: int = HALF_OPEN_AT_MOST,
        clock: Callable[[], float] = time.time,
        operations: Operations | None = None,
    ) -> None:
        self.party = Party(Role.B, identity, trust, setup or Setup(), clock, operations)
        """B."""
        if not (limit > 0 and patience > 0 and half_open_at_most > 0):
            raise ConfigurationError("limit, patience and half_open_at_most must be positive")
        self.machine = Broker(self.party, limit, half_open_at_most)
        """The pure part, for a look."""
        self.method = self.party.setup.method
        """The Authentication Method."""
        self.protected = control.Protected(_with_recipients(protects, self.party.setup))
        """Where only protected messages pass."""
        self.waits: dict[str, int] = {}
        """w of the last handshake of each connected subscriber (specification 1.4, steps 10 to 12)."""
        self._mqtt: MqttBroker | None = None
        self._journal = Journal(lambda: None, identity.name)
        self._channels: dict[str, SchemeChannel] = {}
        self._publishing: dict[str, SchemeChannel] = {}
        self._room = WaitingRoom(self.machine, patience)
        self._owed: dict[tuple[str, str, str], None] = {}
        self._unconfirmed = 0

    def attach(self, broker: MqttBroker) -> None:
        """Take hold of a broker. Raises `ConfigurationError` where another guard or watch is there."""
        if broker.guard is not None or broker.watch is not None or self._mqtt is not None:
            raise ConfigurationError("one broker has one broker side, and the other way round: make another")
        self._mqtt = broker
        self._journal = Journal(lambda: broker.trace, broker.settings.name, self.party.operations)
        broker.methods[self.method] = self
        broker.guard = SchemeGuard(self.machine, self.protected, self._channels)
        broker.watch = self
        broker.serve(f"{control.ROOT}/#", self._on_message)

    # Who connects ------------------------------------------------------------------------------

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        """Block 1 for a publisher, Block 2 for a subscriber; again (AUTH 0x19) for each further topic.

        Raises `HandshakeError`, whose Reason Code and words the client gets; nothing stays behind then.
        """
        will = conversation.connect.will
        if will is not None and (self.protected.covers(will.topic) or control.is_reserved(will.topic)):
            raise HandshakeError(
                f"a Will Message does not pass the channel: leave out the one on {will.topic!r}"
            )
        session = conversation.session
        channel = session.channel if conversation.again else None
        if not isinstance(channel, SchemeChannel):
            channel = SchemeChannel(
                self.machine, self.protected, self._journal, session.client_id, self._room.taken
            )
        message = read(self.party, conversation.data, PublisherHello, SubscriberRequest)
        if isinstance(message, PublisherHello):
            success = await self._welcome(conversation, message, channel)
        else:
            assert isinstance(message, SubscriberRequest)
            success = await self._let_join(conversation, message, channel)
        # From here on nothing waits until the client is in.
        self._channels[session.client_id] = channel
        session.username = session.client_id
        if session.channel is not channel:
            session.channel = channel
        return success

    async def _welcome(
        self, conversation: AuthConversation, hello: PublisherHello, channel: SchemeChannel
    ) -> AuthSuccess:
        """Steps 2 and 3, and 16."""
        name = channel.client_id
        welcome = self.machine.welcome(name, hello)
        confirm, data = None, welcome.reply.encode()
        if self.party.setup.script.confirm:
            confirm = await self._confirmed(conversation, data)
        self.machine.enter(welcome, confirm)
        self._publishing[name] = channel
        self._journal.derived([KeyName.K_PB.value], name, "steps 2 and 3: the channel to the publisher")
        began_anew = conversation.connect.clean_start and not conversation.again
        return AuthSuccess(
            data if confirm is None else None,
            entered=partial(self._publisher_entered, began_anew),
            abandoned=partial(self._abandoned, channel, None),
        )

    async def _confirmed(self, conversation: AuthConversation, data: bytes) -> PublisherConfirm:
        """Step 16."""
        if self._unconfirmed >= self.machine.tickets_at_most:
            raise HandshakeError(
                "too many publishers owe their confirming message: come back later",
                ReasonCode.SERVER_BUSY,
                party=self.party.title,
                step="step 3",
            )
        self._unconfirmed += 1
        try:
            return read(self.party, await conversation.challenge(data), PublisherConfirm)
        finally:
            self._unconfirmed -= 1

    async def _let_join(
        self, conversation: AuthConversation, request: SubscriberRequest, channel: SchemeChannel
    ) -> AuthSuccess:
        """Steps 6 to 14, and 18."""
        if not self.protected.covers(request.topic):
            raise HandshakeError(f"{request.topic!r} is not protected here: subscribe without a scheme")
        ticket = self.machine.request(channel.client_id, request)
        self._journal.checked(ticket.client_id, f"step 6: wants {ticket.topic} of {ticket.publisher}")
        try:
            await self._room.answer(conversation, ticket, self._ask)
            answer = self.machine.accept(ticket)
            confirm, data = None, answer.encode()
            if self.party.setup.script.confirm:
                confirm = read(self.party, await conversation.challenge(data), SubscriberConfirm)
            joined = self.machine.join(ticket, confirm)
            # Who gets the same bytes as whom: no message may go by what was so before.
            self._broker.router.forget()
        except BaseException:
            self._room.leave(ticket)
            self._deliver(self.machine.drop(ticket), ticket.client_id, ticket.publisher, ticket.topic)
            raise
        keys = [KeyName.K_BS.value, *([] if answer.wrapped is None else [KeyName.GK_B.value])]
        self._journal.derived(keys, ticket.client_id, f"step 14: {ticket.topic} of {ticket.publisher}")
        began_anew = conversation.connect.clean_start and not conversation.again
        return AuthSuccess(
            data if confirm is None else None,
            entered=partial(self._subscriber_entered, began_anew, ticket, joined),
            abandoned=partial(self._abandoned, channel, ticket),
        )

    def _ask(self, ticket: Ticket) -> None:
        """Step 7, if the publisher is there."""
        if ticket.publisher in self._publishing:
            topic = control.answer_topic(ticket.client_id)
            about = Properties(response_topic=topic, correlation_data=ticket.correlation)
            self._send(ticket.publisher, self.machine.asked(ticket), about)

    # Who is in ---------------------------------------------------------------------------------

    def _publisher_entered(self, began_anew: bool, session: Session) -> None:
        name = session.client_id
        self._subscribe(session, control.control_topic(session.client_id))
        owed = [key for key in self._owed if key[1] == name]
        for key in owed:
            del self._owed[key]
            notice = None if began_anew else self.machine.notice(*key)
            if notice is not None:
                self._send(name, notice)
        if began_anew:
            self._tell_members_to_ask_again(name)
        for ticket in self.machine.waiting_for(name):
            self._ask(ticket)

    def _tell_members_to_ask_again(self, publisher: str) -> None:
        """A publisher that starts clean has forgotten its subscribers' keys: they begin anew as well."""
        for client_id in self._channels:
            for owner, topic in self.machine.streams(client_id):
                session = self._broker.session(client_id)
                # Who is away shakes hands anyway, when it comes back.
                if owner == publisher and session is not None and session.connection is not None:
                    about = Properties(user_property=(("publisher", publisher), ("topic", topic)))
                    self._send(client_id, Refusal(ReasonCode.ADMINISTRATIVE_ACTION), about)

    def _subscriber_entered(self, began_anew: bool, ticket: Ticket, joined: Joined, session: Session) -> None:
        self._subscribe(session, control.control_topic(session.client_id))
        # What a signed request asks for is a subscription; the SUBSCRIBE that follows chooses the QoS. So
        # there is no gap in which a publisher counts S among its readers and B does not.
        self._subscribe(session, own_filter(self.machine, ticket.topic, ticket.client_id))
        self.waits[ticket.client_id] = ticket.waits
        if began_anew:
            for publisher, topic in self.machine.streams(ticket.client_id):
                if (publisher, topic) != (ticket.publisher, ticket.topic):
                    self._leave(ticket.client_id, publisher, topic)
        for update in joined.updates:
            self._send(ticket.client_id, update)
        for held in self._room.leave(ticket):
            self._hand(session, ticket.publisher, *held)
        if joined.forwarded is not None:
            self._send(ticket.publisher, joined.forwarded, Properties(correlation_data=ticket.correlation))

    def _hand(
        self, session: Session, publisher: str, topic: str, payload: bytes, properties: Properties
    ) -> None:
        """Deliver a message to one session alone."""
        broker = self._broker
        message = MqttMessage(
            topic, payload, control.QOS, False, forwarded(properties), publisher, broker.now()
        )
        deliver(broker, session, message, Form(session.protocol, control.QOS, False))

    def _abandoned(self, channel: SchemeChannel, ticket: Ticket | None) -> None:
        """The client that all was made for did not come in."""
        if self._channels.get(channel.client_id) is channel:
            del self._channels[channel.client_id]
        self._part(channel)
        if ticket is not None:
            self._room.leave(ticket)
            self._leave(channel.client_id, ticket.publisher, ticket.topic)

    def _subscribe(self, session: Session, topic: str) -> None:
        """Subscribe a party to what its handshake was for."""
        if topic not in session.subscriptions:
            qos = min(control.QOS, self._broker.settings.maximum_qos)
            self._broker.router.subscribe(Subscription(topic, session, qos))

    # Who leaves --------------------------------------------------------------------------------

    def left(self, session: Session) -> None:
        """A connection ended: a publisher's K_PB with it. A subscriber that is away stays a member."""
        if isinstance(session.channel, SchemeChannel):
            self._part(session.channel)

    def ended(self, session: Session) -> None:
        """A session is over: its client is no member any more."""
        channel = session.channel
        if isinstance(channel, SchemeChannel) and self._channels.get(session.client_id) is channel:
            del self._channels[session.client_id]
            self.waits.pop(session.client_id, None)
            for publisher, topic in self.machine.streams(session.client_id):
                self._leave(session.client_id, publisher, topic)

    def unsubscribed(self, session: Session, topic_filter: str) -> None:
        """A client gave up a subscription: it leaves what it was for."""
        for publisher, topic in self.machine.streams(session.client_id):
            if own_filter(self.machine, topic, session.client_id) == topic_filter:
                self._leave(session.client_id, publisher, topic)

    def _part(self, channel: SchemeChannel) -> None:
        if self._publishing.get(channel.client_id) is channel:
            del self._publishing[channel.client_id]
            self.machine.parted(channel.client_id)

    def _leave(self, client_id: str, publisher: str, topic: str) -> None:
        if client_id in self.machine.members(publisher, topic):
            departure = self.machine.leave(client_id, publisher, topic)
            self._broker.router.forget()
            self._journal.note(client_id, f"left {topic} of {publisher}")
            self._deliver(departure, client_id, publisher, topic)
            if departure.notice is None and self.party.setup.hardened and len(self._owed) < OWED_AT_MOST:
                self._owed[client_id, publisher, topic] = None

    def _deliver(self, departure: Departure, client_id: str, publisher: str, topic: str) -> None:
        """New group keys for those who stay, and the news for the publisher (*hardened*)."""
        for name, update in departure.updates.items():
            self._send(name, update)
        if departure.updates:
            self._journal.derived([KeyName.GK_B.value], "", f"a new generation for {topic} of {publisher}")
        if departure.notice is not None:
            self._send(publisher, departure.notice)

    # Control topics ----------------------------------------------------------------------------

    @property
    def _broker(self) -> MqttBroker:
        assert self._mqtt is not None, "attach() came first"
        return self._mqtt

    def _send(self, name: str, message: Message, properties: Properties = NO_PROPERTIES) -> None:
        self._broker.publish(
            control.control_topic(name), message.encode(), control.QOS, properties=properties
        )

    def _on_message(self, session: Session, topic: str, payload: bytes, properties: Properties) -> int:
        """A publisher said something to the broker. Raises `HandshakeError`."""
        publisher = session.client_id
        if control.answered(topic) is not None:
            return self._on_answer(publisher, payload, properties.correlation_data or b"")
        subscriber = control.grouped(topic)
        if subscriber is None:
            raise HandshakeError(f"nothing is taken on {topic!r}", party=self.party.title)
        update = read(self.party, payload, GroupUpdate)
        passed = self.machine.pass_on(publisher, subscriber, update)
        if passed is not None:
            self._send(subscriber, passed)
        return ReasonCode.SUCCESS

    def _on_answer(self, publisher: str, payload: bytes, correlation: bytes) -> int:
        """Step 13."""
        error = None
        try:
            message = read(self.party, payload, PublisherAnswer, Refusal)
            assert isinstance(message, (PublisherAnswer, Refusal))
            self.machine.answered(publisher, correlation, message)
            self._journal.checked(publisher, "step 13: the answer")
        except HandshakeError as wrong:
            self._journal.rejected(publisher, wrong)
            error = wrong
        self._room.answered(publisher, correlation, error)
        return ReasonCode.SUCCESS if error is None else error.reason_code


def _with_recipients(filters: tuple[str, ...], setup: Setup) -> tuple[str, ...]:
    """The filters, and where each subscriber has a topic of its own, those topics (specification 1.5)."""
    if not filters:
        raise ConfigurationError("protect at least one Topic Filter, or leave the schemes out")
    try:
        for each in filters:
            check_topic_filter(each)
    except MalformedPacketError as error:
        raise ConfigurationError(str(error)) from None
    if not setup.individual:
        return filters
    return (*filters, *(f"{each}/+" for each in filters if not each.endswith("#")))
