"""What the broker does with each packet of a connected client (MQTT 5, chapter 3), one function a packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from amqtt.contexts import Action
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.session import IncomingApplicationMessage

from mqttsec.errors import MalformedPacketError, MqttsecError, ProtocolError
from mqttsec.mqtt5 import acknowledging, connecting, fanout, subscribing
from mqttsec.mqtt5.acknowledging import answer_bytes
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.hooks import Arrival, ask, hand_over, take_over
from mqttsec.mqtt5.message import Forwarded, Message, forwarded, forwarded_from_wire
from mqttsec.mqtt5.router import Route, is_servers_own
from mqttsec.packets import (
    MQTT_5,
    Auth,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingresp,
    ReasonCode,
    check_topic_name,
    decode,
)
from mqttsec.packets.reason_codes import ALLOWED_REASON_CODES
from mqttsec.packets.wire import check_text

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection
    from mqttsec.mqtt5.session import Session


_PUBLISH = PacketType.PUBLISH << 4


def is_urgent(connection: Connection, frame: bytes) -> bool:
    """True for a packet that is not held back while something waits."""
    packet_type = frame[0] >> 4
    if packet_type == PacketType.AUTH:
        return True
    if connection.session is not None or connection.connect is None:
        return False
    # [MQTT-3.1.2-30] with an Authentication Method "the Client MUST NOT send any packets other than AUTH or
    # DISCONNECT packets until it has received a CONNACK packet": such a packet is refused, not held.
    enhanced = connection.connect.properties.authentication_method is not None
    return enhanced or packet_type == PacketType.DISCONNECT


def handle(connection: Connection, frame: bytes) -> None:
    """Act on one whole packet.

    Raises `ProtocolError` when it breaks a rule; the connection then closes with its Reason Code.
    """
    broker = connection.broker
    if broker.observed:
        broker.fire_packet_event(MQTTEvents.PACKET_RECEIVED, frame, connection.session)
    session = connection.session
    if session is None:
        _before_connected(connection, frame)
        return
    first = frame[0]
    if first & 0xF0 == _PUBLISH:
        _publish(connection, session, frame)
        return
    if len(frame) == 4 and acknowledging.take_short(connection, session, frame):
        return
    packet = decode(frame, connection.protocol, from_client=True)
    handler = _HANDLERS.get(packet.packet_type)
    if handler is None:
        raise ProtocolError(f"{packet.packet_type.name} does not come from a client")
    handler(connection, session, packet)


def _before_connected(connection: Connection, frame: bytes) -> None:
    packet_type = frame[0] >> 4
    if connection.connect is None:
        # [MQTT-3.1.0-1] "the first packet sent from the Client to the Server MUST be a CONNECT packet."
        if packet_type != PacketType.CONNECT:
            connection.abandon("the first packet is not a CONNECT")
            return
        connection.protocol = connecting.announced_protocol(frame)
        connecting.begin(connection, cast(Connect, decode(frame, from_client=True)))
        return
    packet = decode(frame, connection.protocol, from_client=True)
    if isinstance(packet, Auth):
        connecting.on_auth(connection, packet)
    elif isinstance(packet, Disconnect):
        connection.ended_by_client()
    else:
        raise ProtocolError(f"{packet.packet_type.name} before CONNACK")


# PUBLISH ---------------------------------------------------------------------------------------


def _publish(connection: Connection, session: Session, frame: bytes) -> None:
    """3.3. The parts are cut out of the frame directly; anything odd goes to the strict decoder."""
    first = frame[0]
    qos = first >> 1 & 3
    try:
        at = 2
        while frame[at - 1] & 0x80:
            at += 1
        end = at + 2 + (frame[at] << 8 | frame[at + 1])
        topic_bytes = frame[at + 2 : end]
        at = end
        packet_id = 0
        if qos:
            packet_id = frame[at] << 8 | frame[at + 1]
            at += 2
        properties = b""
        if connection.protocol >= MQTT_5:
            length = frame[at]
            at += 1
            if length:
                if length & 0x80:
                    length, at = _property_length(frame, at - 1)
                properties = frame[at : at + length]
                at += length
    except IndexError:
        raise MalformedPacketError("the PUBLISH ends too early") from None
    if at > len(frame) or qos == 3 or (first & 0x0E) == 0x08 or (qos and not packet_id):
        decode(frame, connection.protocol, from_client=True)
        raise MalformedPacketError("the PUBLISH is malformed")
    sorted_properties = forwarded_from_wire(properties)
    if connection.protocol >= MQTT_5:
        topic_bytes = _resolve_alias(connection, topic_bytes, sorted_properties)
    broker = connection.broker
    route = broker.router.cached(topic_bytes)
    if route is None:
        topic = topic_name(topic_bytes)
        route = broker.router.route(topic, topic_bytes)
    _check_limits(connection, session, qos, first & 1, packet_id)
    message = Message(
        route.topic,
        frame[at:],
        qos,
        bool(first & 1),
        sorted_properties,
        session.client_id,
        broker.now(),
        topic_bytes,
    )
    if qos == 2 and packet_id in session.received:
        # [MQTT-4.3.3-10] until PUBREL the same Packet Identifier is the same message: acknowledge it again,
        # and "MUST NOT cause duplicate messages to be delivered to any onward recipients".
        connection.outlet.push(answer_bytes(connection, PacketType.PUBREC, packet_id, 0))
    elif packet_id and packet_id in session.relayed:
        # Sent again on a new connection while a relay still has it: its answer goes to this connection.
        return
    elif broker.filtering.immediate:
        allowed = not broker.filtering.enabled or broker.filtering.permits(
            session, route.topic, Action.PUBLISH
        )
        _route(connection, session, message, route, packet_id, allowed, sorted_properties)
    else:
        connection.wait_for(_publish_slowly, connection, session, message, packet_id, sorted_properties)


def _property_length(frame: bytes, at: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        byte = frame[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            if not byte:
                raise MalformedPacketError("the Property Length is longer than needed")
            return length, at
        if shift > 21:
            raise MalformedPacketError("the Property Length has more than four bytes")


def topic_name(topic_bytes: bytes) -> str:
    """Decode and check a Topic Name.

    Raises `MalformedPacketError`.
    """
    try:
        return check_topic_name(check_text(topic_bytes.decode("utf-8")))
    except UnicodeDecodeError:
        raise MalformedPacketError("the Topic Name is not well-formed UTF-8") from None


def _resolve_alias(connection: Connection, topic_bytes: bytes, properties: Forwarded) -> bytes:
    """3.3.2.3.4 Topic Alias."""
    alias = properties.alias
    if alias is None:
        if not topic_bytes:
            raise ProtocolError("neither a Topic Name nor a Topic Alias")
        return topic_bytes
    # [MQTT-3.3.2-9] no alias above the Topic Alias Maximum that the broker announced.
    if alias > connection.broker.settings.topic_alias_maximum:
        raise ProtocolError(
            f"Topic Alias {alias} is above the Topic Alias Maximum", ReasonCode.TOPIC_ALIAS_INVALID
        )
    if topic_bytes:
        topic_name(topic_bytes)
        connection.topics_by_alias[alias] = topic_bytes
        return topic_bytes
    known = connection.topics_by_alias.get(alias)
    if known is None:
        # 3.3.4: an alias without a mapping is a Protocol Error, 0x82.
        raise ProtocolError(f"Topic Alias {alias} was not set on this connection")
    return known


def _check_limits(connection: Connection, session: Session, qos: int, retain: int, packet_id: int) -> None:
    settings = connection.broker.settings
    # [MQTT-3.2.2-11] a QoS above the announced Maximum QoS: DISCONNECT 0x9B.
    if qos > settings.maximum_qos:
        raise ProtocolError(f"QoS {qos} is above the Maximum QoS", ReasonCode.QOS_NOT_SUPPORTED)
    # [MQTT-3.2.2-14] retained messages where Retain Available is 0: 0x9A.
    if retain and not settings.retain_available:
        raise ProtocolError("retained messages are not available here", ReasonCode.RETAIN_NOT_SUPPORTED)
    # [MQTT-3.3.4-7]: more unfinished publications than Receive Maximum: 0x93. QoS 1 is acknowledged at once
    # unless a relay has it, so else only QoS 2 can pile up.
    open_ones = len(session.received) + len(session.relayed) if qos == 2 else len(session.relayed)
    known = packet_id in session.received or packet_id in session.relayed
    if qos and open_ones >= settings.receive_maximum and not known:
        raise ProtocolError(
            f"more QoS {qos} publications than the Receive Maximum", ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
        )


async def _publish_slowly(
    connection: Connection, session: Session, message: Message, packet_id: int, properties: Forwarded
) -> None:
    """With plugins that wait: ask for the publisher, then for each receiver, then deliver."""
    broker = connection.broker
    allowed = await broker.filtering.ask(session, message.topic, Action.PUBLISH)
    route = broker.router.route(message.topic, message.topic_bytes)
    if allowed:
        route = await broker.permitted_route(route)
    if connection.session is session:
        _route(connection, session, message, route, packet_id, allowed, properties)
        broker.schedule_flush()


def _route(
    connection: Connection,
    session: Session,
    message: Message,
    route: Route,
    packet_id: int,
    allowed: bool,
    properties: Forwarded,
) -> None:
    """Deliver, retain, acknowledge: in this order, so that what is acknowledged has been done."""
    broker = connection.broker
    code: int = ReasonCode.SUCCESS
    if is_servers_own(message.topic):
        allowed = False
    if broker.hears_messages:
        _fire(connection, BrokerEvents.MESSAGE_RECEIVED, message, packet_id)
    if not allowed:
        code = ReasonCode.NOT_AUTHORIZED
    elif broker.guard is not None:
        code = ask(broker.guard.publish, session, message.topic)
    if route.service is not None:
        if code < 0x80:
            code = hand_over(route.service, session, message.topic, message.payload, properties.properties)
        _acknowledge(connection, session, message, packet_id, code)
        return
    if route.relay is not None and code < 0x80:
        take_over(route.relay, Arrival(session, message, packet_id, properties.properties))
        return
    if session.channel is not None and code < 0x80:
        message, code = _through_channel(session, message, properties)
    if code < 0x80:
        if message.retain:
            code = broker.retain(message)
        if code < 0x80:
            if broker.hears_messages:
                _fire(connection, BrokerEvents.MESSAGE_BROADCAST, message, packet_id)
            if not fanout.publish(broker, message, route):
                # 3.4.2.1: 0x10 says that nobody is subscribed, where the Server knows it.
                code = ReasonCode.NO_MATCHING_SUBSCRIBERS
    _acknowledge(connection, session, message, packet_id, code)


def _acknowledge(
    connection: Connection, session: Session, message: Message, packet_id: int, code: int
) -> None:
    if message.qos == 1:
        connection.outlet.push(answer_bytes(connection, PacketType.PUBACK, packet_id, code))
    elif message.qos == 2:
        if code < 0x80:
            session.received.add(packet_id)
        connection.outlet.push(answer_bytes(connection, PacketType.PUBREC, packet_id, code))


def _through_channel(session: Session, message: Message, properties: Forwarded) -> tuple[Message, int]:
    channel = session.channel
    assert channel is not None
    try:
        payload, changed = channel.inbound(message.topic, message.payload, properties.properties)
    except MqttsecError as error:
        code = getattr(error, "reason_code", 0)
        known = code >= 0x80 and code in ALLOWED_REASON_CODES[PacketType.PUBACK]
        return message, code if known else ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
    except Exception as error:
        report_fault("the channel", session.client_id, error)
        return message, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
    return Message(
        message.topic,
        payload,
        message.qos,
        message.retain,
        forwarded(changed),
        message.publisher,
        message.received_at,
        message.topic_bytes,
    ), ReasonCode.SUCCESS


def _fire(connection: Connection, event: BrokerEvents, message: Message, packet_id: int) -> None:
    connection.broker.fire(
        event,
        client_id=message.publisher,
        message=IncomingApplicationMessage(
            packet_id or None, message.topic, message.qos, message.payload, message.retain
        ),
    )


# The other packets -----------------------------------------------------------------------------


def _pingreq(connection: Connection, session: Session, packet: Packet) -> None:
    # [MQTT-3.12.4-1] "The Server MUST send a PINGRESP packet in response to a PINGREQ packet."
    connection.send(Pingresp())


def _disconnect(connection: Connection, session: Session, packet: Disconnect) -> None:
    interval = packet.properties.session_expiry_interval
    if interval is not None:
        # 3.14.2.2.2: "If the Session Expiry Interval in the CONNECT packet was zero, then it is a Protocol
        # Error to set a non-zero Session Expiry Interval in the DISCONNECT packet".
        assert connection.connect is not None
        if interval and not connection.connect.properties.session_expiry_interval:
            raise ProtocolError("DISCONNECT gives a Session Expiry Interval that CONNECT did not")
        session.expiry_interval = min(interval, connection.broker.settings.maximum_session_expiry)
    if packet.reason_code == ReasonCode.DISCONNECT_WITH_WILL_MESSAGE or packet.reason_code >= 0x80:
        connection.close()
    else:
        connection.ended_by_client()


def _connect_again(connection: Connection, session: Session, packet: Packet) -> None:
    # [MQTT-3.1.0-2] "The Server MUST process a second CONNECT packet sent from a Client as a Protocol Error".
    raise ProtocolError("a second CONNECT")


def _auth(connection: Connection, session: Session, packet: Auth) -> None:
    connecting.on_auth(connection, packet)


_HANDLERS: dict[PacketType, Callable[[Any, Any, Any], None]] = {
    PacketType.CONNECT: _connect_again,
    **acknowledging.HANDLERS,
    PacketType.SUBSCRIBE: subscribing.on_subscribe,
    PacketType.UNSUBSCRIBE: subscribing.on_unsubscribe,
    PacketType.PINGREQ: _pingreq,
    PacketType.DISCONNECT: _disconnect,
    PacketType.AUTH: _auth,
}
