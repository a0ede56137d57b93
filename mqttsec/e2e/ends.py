"""A publisher and a subscriber between their machines and any MQTT client: bytes in, bytes out, no socket.

Each is an `Authenticator` for the client's connections (MQTT 5, 4.12), and takes what comes on its
control topic. `parties` puts them on paho, `memory_parties` on light clients; both share all that is here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mqttsec.e2e import control
from mqttsec.e2e.channel import LayerCheck, LayerRefused
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.handshake import CheckFailed, read
from mqttsec.e2e.journal import Journal
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    GroupUpdate,
    KeepWaiting,
    Membership,
    Refusal,
    SubscriberRequest,
)
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.subscriber import Opened, Subscriber
from mqttsec.e2e.terms import KeyName
from mqttsec.errors import HandshakeError, MqttsecError, TamperError
from mqttsec.packets import NO_PROPERTIES, Properties, ReasonCode

ANSWERS_KEPT = 1024
"""How many answers a publisher can repeat: QoS 1 may bring a request twice."""

HELD_AT_MOST = 256
"""How many messages a subscriber keeps whose key is on its way."""

REFUSED_KEPT = 100
"""How many refusals a subscriber remembers."""

Stream = tuple[str, str]
"""(publisher, topic)."""


@dataclass(frozen=True)
class Posting:
    """Something to publish on a control topic, at QoS 1."""

    topic: str
    """Topic Name."""
    payload: bytes
    """An encoded message."""
    properties: Properties = NO_PROPERTIES
    """Correlation Data, for an answer."""


class PublisherEnd:
    """A publisher's side of its connection. Any thread may call; `lock` keeps what belongs together."""

    def __init__(self, machine: Publisher, journal: Journal) -> None:
        self.machine = machine
        """The pure part."""
        self.lock = threading.RLock()
        """Held while something is protected and handed to the client, so that keys go before messages."""
        self._journal = journal
        self._answers: OrderedDict[bytes, Posting] = OrderedDict()
        self._confirmed = False

    # The connection ----------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The Authentication Method."""
        return self.machine.party.setup.method

    def first(self) -> bytes:
        """Step 1."""
        with self.lock:
            self._confirmed = False
            return self.machine.hello().encode()

    def challenge(self, data: bytes | None) -> bytes:
        """Step 3, where the handshake is confirmed: gives step 16. Raises `HandshakeError`."""
        confirm = self._welcomed(data)
        if confirm is None:
            raise HandshakeError("the broker asks for more than this handshake has", party=self._title)
        self._confirmed = True
        return confirm.encode()

    def finish(self, data: bytes | None) -> None:
        """Step 3, or the end of a handshake that was confirmed. Raises `HandshakeError`."""
        if self.machine.party.setup.script.confirm:
            if not self._confirmed:
                raise HandshakeError(
                    "the broker has not shown who it is: end the connection", party=self._title
                )
        elif self._welcomed(data) is not None:
            raise HandshakeError("the broker did not wait for the confirmation", party=self._title)

    def _welcomed(self, data: bytes | None) -> Message | None:
        with self.lock:
            try:
                confirm = self.machine.welcomed(read(self.machine.party, data, BrokerHello))
            except HandshakeError as error:
                self._journal.rejected(self.machine.broker, error)
                raise
            self._journal.derived(
                [KeyName.K_PB.value], self.machine.broker, "step 4: the broker is who it says"
            )
            return confirm

    @property
    def _title(self) -> str:
        return self.machine.party.title

    # Control messages --------------------------------------------------------------------------

    def on_control(self, payload: bytes, properties: Properties) -> list[Posting]:
        """What to publish in answer to a message on the control topic; what is wrong is only entered."""
        with self.lock:
            try:
                message = read(self.machine.party, payload, SubscriberRequest, Membership, ForwardedConfirm)
                correlation = properties.correlation_data or b""
                if isinstance(message, SubscriberRequest):
                    return [self._answer(message, correlation, properties.response_topic or "")]
                if isinstance(message, Membership):
                    return self._departed(message)
                assert isinstance(message, ForwardedConfirm)
                return self._settled(correlation, message)
            except (HandshakeError, TamperError) as error:
                self._journal.rejected(self.machine.broker, error)
            return []

    def _answer(self, request: SubscriberRequest, correlation: bytes, response_topic: str) -> Posting:
        """Steps 8 and 13."""
        if control.answered(response_topic) != request.subscriber:
            raise HandshakeError(f"{response_topic!r} is no place for an answer", party=self._title)
        known = self._answers.get(correlation)
        if known is not None:
            return known
        about = Properties(correlation_data=correlation)
        try:
            answer = self.machine.asked(correlation, request)
        except HandshakeError as error:
            self._journal.rejected(request.subscriber, error)
            code = error.reason_code if error.reason_code >= 0x80 else ReasonCode.NOT_AUTHORIZED
            return Posting(response_topic, Refusal(code).encode(), about)
        keys = [KeyName.K_PS.value, *([] if answer.wrapped is None else [KeyName.GK_P.value])]
        self._journal.derived(keys, request.subscriber, f"steps 8 and 13: {request.topic}")
        posting = self._answers[correlation] = Posting(response_topic, answer.encode(), about)
        if len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return posting

    def _settled(self, correlation: bytes, message: ForwardedConfirm) -> list[Posting]:
        """Step 19. Whoever fails it leaves, and the others get a new GK_P."""
        try:
            self.machine.confirmed(correlation, message)
        except CheckFailed as error:
            self._journal.rejected(self.machine.broker, error)
            return self._renewed(*self.machine.disown(correlation))
        self._journal.checked(self.machine.broker, "step 19: the subscriber has the key")
        return []

    def _departed(self, notice: Membership) -> list[Posting]:
        return self._renewed(notice.topic, self.machine.departed(notice))

    def expel(self, topic: str, subscriber: str) -> list[Posting]:
        """Serve a subscriber no longer; the others get a new GK_P (*hardened*)."""
        with self.lock:
            return self._renewed(topic, self.machine.leave(topic, subscriber))

    def _renewed(self, topic: str, updates: dict[str, GroupUpdate]) -> list[Posting]:
        if updates:
            self._journal.derived([KeyName.GK_P.value], "", f"a new generation for {topic}")
        return [Posting(control.group_topic(name), update.encode()) for name, update in updates.items()]

    # Messages ----------------------------------------------------------------------------------

    def protect(self, topic: str, message: bytes) -> list[tuple[str, bytes]]:
        """(Topic Name, payload) of what to publish. Raises `HandshakeError` before there is a channel."""
        with self.lock:
            sent = self.machine.protect(topic, message)
            if sent and self._journal.listens:
                self._journal.note(
                    self.machine.broker, f"protected a message on {topic}: {len(sent)} to send"
                )
            return sent


class SubscriberEnd:
    """A subscriber's side of its connection, for any number of topics of any publishers."""

    def __init__(self, machine: Subscriber, journal: Journal) -> None:
        self.machine = machine
        """The pure part."""
        self.lock = threading.RLock()
        """Held by every call."""
        self.wanted: dict[Stream, int] = {}
        """QoS of the subscription, for each topic that the user wants."""
        self.due: deque[Stream] = deque()
        """Topics whose handshake has to be made, the one at hand first."""
        self.joined: Stream | None = None
        """The topic of the last handshake that succeeded."""
        self.on_joined: Callable[[Stream], None] | None = None
        """Called with it, before the client has taken the packet that ended the handshake."""
        self.refused: deque[MqttsecError] = deque(maxlen=REFUSED_KEPT)
        """Why messages or group keys did not open, the last ones."""
        self._journal = journal
        self._held: deque[tuple[str, bytes]] = deque(maxlen=HELD_AT_MOST)
        self._confirmed = False

    # What is wanted ----------------------------------------------------------------------------

    def want(self, stream: Stream, qos: int) -> None:
        """A handshake for one more topic, or again for one, is due."""
        with self.lock:
            self.wanted[stream] = qos
            if stream not in self.due:
                self.due.append(stream)

    def unwant(self, stream: Stream) -> None:
        """A topic is no longer wanted: its keys go."""
        with self.lock:
            self.wanted.pop(stream, None)
            if stream in self.due:
                self.due.remove(stream)
            self.machine.forget(*stream)

    def lost(self) -> None:
        """The connection ended, and K_BSi of every topic with it: all handshakes are due again."""
        with self.lock:
            self.due = deque(self.wanted)

    def topic_filter(self, stream: Stream) -> str:
        """What to subscribe to for a topic."""
        return self.machine.topic_filter(stream[1])

    # The connection ----------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The Authentication Method."""
        return self.machine.party.setup.method

    def first(self) -> bytes:
        """Step 5, for the topic that is due. Raises `HandshakeError` where none is."""
        with self.lock:
            if not self.due:
                raise HandshakeError("nothing to ask for: subscribe to a topic first", party=self._title)
            self._confirmed = False
            return self.machine.request(*self.due[0]).encode()

    def challenge(self, data: bytes | None) -> bytes:
        """Steps 9 and 11: gives 10 and 12; or step 14 where the handshake is confirmed: gives step 18."""
        with self.lock:
            message = read(self.machine.party, data, KeepWaiting, BrokerAnswer)
            if isinstance(message, KeepWaiting):
                return self.machine.wait(message).encode()
            assert isinstance(message, BrokerAnswer)
            confirm = self._accepted(message)
            if confirm is None:
                raise HandshakeError("the broker asks for more than this handshake has", party=self._title)
            self._confirmed = True
            return confirm.encode()

    def finish(self, data: bytes | None) -> None:
        """Step 14, or the end of a handshake that was confirmed. Raises `HandshakeError`."""
        with self.lock:
            if not self.machine.party.setup.script.confirm:
                self._accepted(read(self.machine.party, data, BrokerAnswer))
            elif not self._confirmed:
                raise HandshakeError(
                    "the broker has not shown who it is: end the connection", party=self._title
                )
            self.joined = self.due.popleft()
        if self.on_joined is not None:
            self.on_joined(self.joined)

    def _accepted(self, message: BrokerAnswer) -> Message | None:
        publisher, topic = self.due[0]
        try:
            confirm = self.machine.accepted(message)
        except HandshakeError as error:
            self._journal.rejected(self.machine.broker, error)
            raise
        keys = sorted(key.value for key in (*self.machine.latest, *self._group_keys(message)))
        self._journal.derived(keys, self.machine.broker, f"step 15: {topic} of {publisher}")
        return confirm

    @staticmethod
    def _group_keys(message: BrokerAnswer) -> Iterator[KeyName]:
        if message.wrapped is not None:
            yield KeyName.GK_B
        if message.answer.wrapped is not None:
            yield KeyName.GK_P

    @property
    def _title(self) -> str:
        return self.machine.party.title

    # What comes --------------------------------------------------------------------------------

    def take(self, topic: str, payload: bytes, properties: Properties) -> list[Opened]:
        """The Application Messages that can be read now that this came.

        A group key may open messages that were held; a message whose key is on its way is held. What does
        not open is entered in `refused`. A publisher that began anew makes its topics `due`.
        """
        with self.lock:
            if topic != control.control_topic(self.machine.party.name):
                return self._open(topic, payload)
            try:
                message = read(self.machine.party, payload, GroupUpdate, Refusal)
                if isinstance(message, Refusal):
                    self._ask_again(dict(properties.user_property))
                    return []
                assert isinstance(message, GroupUpdate)
                self.machine.update(message)
            except (HandshakeError, TamperError) as error:
                self._refuse(self.machine.broker, error)
                return []
            self._journal.derived([message.key], message.publisher, f"a new generation for {message.topic}")
            return self.held()

    def held(self) -> list[Opened]:
        """Messages that were held for want of a key and can be read by now."""
        with self.lock:
            waiting, self._held = self._held, deque(maxlen=HELD_AT_MOST)
            return [opened for each in waiting for opened in self._open(*each, again=True)]

    def _open(self, topic: str, payload: bytes, again: bool = False) -> list[Opened]:
        try:
            opened = self.machine.open(topic, payload)
        except LayerRefused as error:
            keyless = error.check is LayerCheck.KEY
            if keyless:
                self._held.append((topic, payload))
            if not (keyless and again):
                self._refuse(self.machine.broker, error)
            return []
        if self._journal.listens:
            self._journal.checked(opened.publisher, f"message {opened.sequence} on {opened.topic}")
        return [opened]

    def _refuse(self, peer: str, error: HandshakeError | TamperError) -> None:
        self.refused.append(error)
        self._journal.rejected(peer, error)

    def _ask_again(self, about: dict[str, str]) -> None:
        stream = about.get("publisher", ""), about.get("topic", "")
        if stream in self.wanted:
            self.want(stream, self.wanted[stream])
