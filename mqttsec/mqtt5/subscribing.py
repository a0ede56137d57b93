"""SUBSCRIBE and UNSUBSCRIBE (3.8 to 3.11), and the retained messages that answer a subscription."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from amqtt.contexts import Action
from amqtt.events import BrokerEvents

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import fanout
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.hooks import Relay, ask, tell
from mqttsec.mqtt5.message import Form, Message
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.packets import (
    MQTT_5,
    ReasonCode,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
)
from mqttsec.packets.reason_codes import SUBACK_FAILURE
from mqttsec.packets.topics import SHARE, split_share

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection


def on_subscribe(connection: Connection, session: Session, packet: Subscribe) -> None:
    """A client subscribes. Plugins that wait are waited for; the client's next packets are held back."""
    identifiers = packet.properties.subscription_identifier
    # 3.2.2.3.12: with Subscription Identifier Available 0 "this is a Protocol Error", 0xA1.
    if identifiers and not connection.broker.settings.subscription_identifier_available:
        raise ProtocolError(
            "Subscription Identifiers are not available here",
            ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        )
    if connection.broker.filtering.immediate:
        permits = connection.broker.filtering.permits
        allowed = [permits(session, _asked_for(item), Action.SUBSCRIBE) for item in packet.filters]
        due = _subscribe(connection, session, packet, allowed)
        connection.retained.add(
            (message, form) for message, form in due if permits(session, message.topic, Action.RECEIVE)
        )
    else:
        connection.wait_for(_subscribe_slowly, connection, session, packet)


def _asked_for(item: SubscribeFilter) -> str:
    """What the plugins are asked about: a rule for "a/b" holds for "$share/group/a/b" as well."""
    return split_share(item.topic_filter)[1]


async def _subscribe_slowly(connection: Connection, session: Session, packet: Subscribe) -> None:
    ask = connection.broker.filtering.ask
    allowed = [await ask(session, _asked_for(item), Action.SUBSCRIBE) for item in packet.filters]
    if connection.session is not session:
        return
    for message, form in _subscribe(connection, session, packet, allowed):
        may = await ask(session, message.topic, Action.RECEIVE)
        if connection.session is not session:
            return
        if may:
            fanout.deliver(connection.broker, session, message, form)
    connection.broker.schedule_flush()


def _subscribe(
    connection: Connection, session: Session, packet: Subscribe, allowed: list[bool]
) -> Iterator[tuple[Message, Form]]:
    """Enter the subscriptions and answer; returns the retained messages that are due, found one by one."""
    identifiers = packet.properties.subscription_identifier
    identifier = identifiers[0] if identifiers else None
    answers = _Answers(connection, session, packet)
    due: list[Iterator[tuple[Message, Form]]] = []
    # [MQTT-3.8.4-5], [MQTT-3.8.4-6] many filters in one packet count as many packets, answered by one SUBACK.
    for place, (item, may) in enumerate(zip(packet.filters, allowed, strict=True)):
        code = _refusal(connection, session, item) if may else ReasonCode.NOT_AUTHORIZED
        relay = connection.broker.router.relay_of(_asked_for(item))
        if code is None and relay is not None:
            _through_relay(relay, session, item, packet, answers.at(place))
            continue
        if code is None:
            is_new = item.topic_filter not in session.subscriptions
            row = Subscription(
                item.topic_filter,
                session,
                min(item.qos, connection.broker.settings.maximum_qos),
                item.no_local,
                item.retain_as_published,
                identifier,
            )
            connection.broker.router.subscribe(row)
            due.append(_retained(connection, session, row, item, is_new))
            connection.broker.fire(
                BrokerEvents.CLIENT_SUBSCRIBED,
                client_id=session.client_id,
                topic=row.topic_filter,
                qos=row.qos,
            )
            code = row.qos
        answers.at(place)(code)
    return chain.from_iterable(due)


class _Answers:
    """The Reason Codes of one SUBACK, which leaves when the last of them is known."""

    def __init__(self, connection: Connection, session: Session, packet: Subscribe) -> None:
        self._connection, self._session, self._number = connection, session, packet.packet_id
        self._codes: list[int | None] = [None] * len(packet.filters)

    def at(self, place: int) -> Callable[[int], None]:
        """What takes the answer to the filter at `place`; only the first one counts."""

        def answer(code: int) -> None:
            if self._codes[place] is None:
                self._codes[place] = code
                self._send()

        return answer

    def _send(self) -> None:
        codes = [code for code in self._codes if code is not None]
        # A client that has gone, and come back perhaps, asks anew: the answer was for its old connection.
        if len(codes) < len(self._codes) or self._connection.session is not self._session:
            return
        if self._connection.protocol < MQTT_5:
            codes = [code if code < 0x80 else SUBACK_FAILURE for code in codes]
        self._connection.send(Suback(self._number, tuple(codes)))


def _through_relay(
    relay: Relay, session: Session, item: SubscribeFilter, packet: Subscribe, answer: Callable[[int], None]
) -> None:
    if item.topic_filter.startswith(SHARE):
        answer(ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
        return
    try:
        relay.subscribe(session, item, packet.properties, answer)
    except Exception as error:
        report_fault("a relay", session.client_id, error)
        answer(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)


def _refusal(connection: Connection, session: Session, item: SubscribeFilter) -> int | None:
    settings = connection.broker.settings
    if _asked_for(item).count("/") >= settings.max_topic_levels:
        return ReasonCode.TOPIC_FILTER_INVALID
    if item.topic_filter.startswith(SHARE) and not settings.shared_subscription_available:
        return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    if not settings.wildcard_subscription_available and (
        "+" in item.topic_filter or "#" in item.topic_filter
    ):
        return ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
    if (
        len(session.subscriptions) >= settings.max_subscriptions
        and item.topic_filter not in session.subscriptions
    ):
        return ReasonCode.QUOTA_EXCEEDED
    guard = connection.broker.guard
    if guard is not None:
        code = ask(guard.subscribe, session, _asked_for(item))
        return code if code >= 0x80 else None
    return None


def _retained(
    connection: Connection, session: Session, row: Subscription, item: SubscribeFilter, is_new: bool
) -> Iterator[tuple[Message, Form]]:
    """Retain Handling (3.8.3.1): [MQTT-3.3.1-9] 0 always, [-10] 1 only if new, [-11] 2 never."""
    shared, plain = split_share(row.topic_filter)
    # 4.8.2: no retained messages for a shared subscription.
    if shared is not None or item.retain_handling == 2 or (item.retain_handling == 1 and not is_new):
        return
    identifiers = (row.identifier,) if row.identifier is not None and connection.protocol >= MQTT_5 else ()
    # 3.3.1.3: RETAIN is 1 on a message that is sent because of a subscription.
    for message in connection.broker.retained(plain):
        # [MQTT-3.8.3-3] No Local knows no exception for retained messages.
        if row.no_local and message.publisher == session.client_id:
            continue
        if not connection.broker.may_receive(session, message.topic):
            continue
        # A message that was replaced while it waited is older than what the subscription has brought since.
        if connection.broker.is_retained(message):
            yield message, Form(connection.protocol, min(message.qos, row.qos), True, identifiers)


def on_unsubscribe(connection: Connection, session: Session, packet: Unsubscribe) -> None:
    """A client gives subscriptions up; deliveries that have begun are completed [MQTT-3.10.4-3]."""
    codes: list[int] = []
    for topic_filter in packet.topic_filters:
        relay = connection.broker.router.relay_of(topic_filter)
        if relay is not None:
            codes.append(relay.unsubscribe(session, topic_filter, packet.properties))
            continue
        existed = connection.broker.router.unsubscribe(session, topic_filter)
        codes.append(ReasonCode.SUCCESS if existed else ReasonCode.NO_SUBSCRIPTION_EXISTED)
        if existed and connection.broker.watch is not None:
            tell(connection.broker.watch.unsubscribed, session, topic_filter)
        connection.broker.fire(
            BrokerEvents.CLIENT_UNSUBSCRIBED, client_id=session.client_id, topic=topic_filter
        )
    connection.send(Unsuback(packet.packet_id, tuple(codes)))
