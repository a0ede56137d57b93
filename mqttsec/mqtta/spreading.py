"""A message that comes back, at one bridge broker: given to its receivers, acknowledged when they have it.

Two memories are a net below the paths: a message that came along a branch before is not spread again, and a
client that subscribed at QoS 2 gets it once, whichever way it came. At the last bridge broker of a shared
path the same message comes in each subscriber's session: the first copy is spread, all are acknowledged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mqttsec.mqtt5 import fanout
from mqttsec.mqtt5.message import Form, Message, forwarded
from mqttsec.mqtt5.session import Session
from mqttsec.mqtta.branches import Branch, Branches, Receiver
from mqttsec.mqtta.carrying import Carried
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import AGAIN, CROSSING, DERIVED, MESSAGE, PREFIX, SESSION, marked, unmarked
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.topics import forwarding
from mqttsec.packets import NO_PROPERTIES, Properties, Publish, ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker

_REMEMBERED = 20_000
"""Messages of which a bridge broker remembers that it has had them."""


class Memory:
    """The latest keys, oldest forgotten first."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._keys: OrderedDict[object, None] = OrderedDict()
        self._limit = limit

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def add(self, key: object) -> None:
        """Remember `key`."""
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)


class Passage:
    """One message from upstream until its receivers have taken it."""

    __slots__ = ("branch", "copies", "key", "lost", "waiting")

    def __init__(self, branch: Branch, key: object) -> None:
        self.branch, self.key = branch, key
        self.copies: dict[tuple[Link, int | None], Publish] = {}
        """What is to be acknowledged: the same message, by session and Packet Identifier."""
        self.waiting = 1
        """Receivers that have not taken it, and one for the spreading itself."""
        self.lost = False
        """True when one of them will never take it."""

    def acknowledge(self, reason_code: int = 0) -> None:
        """Answer all copies."""
        for (link, _), message in self.copies.items():
            link.acknowledge(message, reason_code)


class Spreading:
    """Messages that come back through one bridge broker. `leave` takes out a receiver that refuses them."""

    def __init__(
        self, bridge: BridgeBroker, branches: Branches, leave: Callable[[Receiver, bool], None]
    ) -> None:
        self.dropped = 0
        """Messages that came a second time along the same branch, or late in another session."""
        self._bridge = bridge
        self._policies = bridge.policies
        self._branches = branches
        self._leave = leave
        self._had = Memory()
        self._delivered = Memory()
        self._passing: dict[object, Passage] = {}
        self._awaited: dict[Message, tuple[Passage, Receiver]] = {}

    def come_back(
        self, branch: Branch, message: Publish, told: dict[str, str], previous: str, link: Link
    ) -> None:
        if self._bridge.meddle is not None:
            changed = self._bridge.meddle(Direction.DELIVER, branch.actual, message.payload)
            if changed is None:
                link.acknowledge(message)
                return
            given, message = message, replace(message, payload=changed)
        else:
            given = message
        number = told.get(MESSAGE, "")
        key = (branch.number, number, CROSSING in told, told.get(SESSION))
        may_be_known = not number.startswith(DERIVED) or AGAIN in told
        if number and may_be_known:
            under_way = self._passing.get(key)
            if under_way is not None:
                # The receivers still have it: it came in another session, or was sent again.
                under_way.copies[link, given.packet_id] = given
                return
            if key in self._had:
                self.dropped += 1
                branch.settle(lambda: link.acknowledge(given))
                return
        passage = Passage(branch, key)
        passage.copies[link, given.packet_id] = given
        if message.qos and number:
            self._passing[key] = passage
        elif number:
            self._had.add(key)
        self.spread(branch, message, told, previous, passage)
        self._one_less(passage)

    def spread(
        self,
        branch: Branch,
        message: Publish,
        told: dict[str, str],
        previous: str,
        passage: Passage | None,
    ) -> None:
        """Give a message to the receivers of a branch: to all, or to the one subscription that it is for."""
        bridge = self._bridge
        number, only = told.get(MESSAGE, ""), told.get(SESSION)
        passed_on = {
            name.removeprefix(PREFIX): told[name]
            for name in (MESSAGE, CROSSING, AGAIN, SESSION)
            if name in told
        }
        broker = bridge.broker
        own: Properties | None = None
        for receiver, qos in list(branch.receivers.items()):
            session = broker.session(receiver.client_id)
            if session is None or (only is not None and only not in branch.behind[receiver]):
                continue
            qos = min(qos, message.qos)
            if own is None:
                own = unmarked(message.properties)
            bridge.see(
                Direction.DELIVER, previous, bridge.origin(session) or receiver.client_id, branch.actual,
                None, number, payload=message.payload,
            )  # fmt: skip
            if receiver.local:
                self._deliver_to_client(session, receiver, qos, message, own, told)
                continue
            if not self._policies.is_published:
                passed_on["token"] = receiver.name
            topic = forwarding(branch.actual, branch.qos_class)
            out = self._message(topic, message, qos, marked(own, **passed_on))
            if qos and passage is not None:
                passage.waiting += 1
                self._awaited[out] = (passage, receiver)
            fanout.deliver(broker, session, out, Form(session.protocol, qos, message.retain))
        broker.schedule_flush()

    def _deliver_to_client(
        self,
        session: Session,
        receiver: Receiver,
        qos: int,
        message: Publish,
        own: Properties,
        told: dict[str, str],
    ) -> None:
        number = told.get(MESSAGE, "")
        row = session.subscriptions.get(receiver.name)
        if qos == 2 and number and not self._policies.is_published:
            key = (receiver.client_id, receiver.name, number)
            if key in self._delivered and (not number.startswith(DERIVED) or AGAIN in told):
                return
            self._delivered.add(key)
        identifiers = (row.identifier,) if row is not None and row.identifier is not None else ()
        # The last one remaps T_A to T_F/T_A.
        out = self._message(receiver.name, message, qos, own)
        form = Form(session.protocol, qos, message.retain, identifiers if session.protocol >= 5 else ())
        fanout.deliver(self._bridge.broker, session, out, form)

    def _message(self, topic: str, message: Publish, qos: int, properties: Properties) -> Message:
        return Message(
            topic, message.payload, qos, message.retain, forwarded(properties), "", self._bridge.now()
        )

    def tell_moved(self, branch: Branch, receiver: Receiver, session: str) -> None:
        """Tell a bridge broker downstream that a subscription is served from elsewhere now."""
        peer = self._bridge.broker.session(receiver.client_id)
        if peer is not None:
            topic = forwarding(branch.actual, branch.qos_class)
            nothing = marked(NO_PROPERTIES, token=receiver.name, moved=session)
            out = self._message(topic, Publish(topic, b""), 1, nothing)
            fanout.deliver(self._bridge.broker, peer, out, Form(peer.protocol, 1, False))
            self._bridge.broker.schedule_flush()

    def heard(self, message: Message, code: int) -> None:
        """A bridge broker downstream has taken a message, or refused it."""
        found = self._awaited.pop(message, None)
        if found is None:
            return
        passage, receiver = found
        if code >= 0x80:
            passage.lost = True
            self._leave(receiver, True)
        self._one_less(passage)

    def _one_less(self, passage: Passage) -> None:
        passage.waiting -= 1
        if passage.waiting:
            return
        branch = passage.branch
        self._passing.pop(passage.key, None)
        if passage.lost and not branch.receivers:
            # Nobody has it. A bridge broker upstream is told so; with the public broker it stays, in a
            # session that is on hold, for the path drawn anew.
            passage.acknowledge(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
            return
        self._had.add(passage.key)
        branch.settle(passage.acknowledge)

    # A crossing publish ------------------------------------------------------------------------

    def publish_here(self, carried: Carried) -> None:
        """Topic-aware: who publishes crosses the path of subscribers that are known here."""
        for branch in list(self._branches.of_topic(carried.actual)):
            if self._policies.publishes_here(branch.qos_class) and branch.receivers:
                message = carried.arrival.message
                publish = Publish(
                    message.topic, carried.payload, message.qos, False, properties=carried.properties
                )
                told = {MESSAGE: carried.number, CROSSING: "1"} if carried.number else {CROSSING: "1"}
                self.spread(branch, publish, told, carried.previous, None)

    # Receivers that end ------------------------------------------------------------------------

    def strand(self, receivers: list[Receiver]) -> list[Passage]:
        """What these have not taken, and never will. Give it to `settle` when they are out."""
        gone = set(receivers)
        stranded = [message for message, (_, owner) in self._awaited.items() if owner in gone]
        passages = [self._awaited.pop(message)[0] for message in stranded]
        for passage in passages:
            passage.lost = True
        return passages

    def settle(self, passages: list[Passage]) -> None:
        """Nobody waits any more for these receivers."""
        for passage in passages:
            self._one_less(passage)
