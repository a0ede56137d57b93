"""How a client comes in: CONNECT, authentication, take-over, the answer (3.1, 3.2, 4.12)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from amqtt.events import BrokerEvents

from mqttsec.errors import AuthenticationError, ProtocolError
from mqttsec.mqtt5.auth import AuthConversation, AuthSuccess
from mqttsec.mqtt5.expect import Expect
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.hooks import tell
from mqttsec.mqtt5.replies import because
from mqttsec.mqtt5.session import Session
from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    Properties,
    ReasonCode,
)
from mqttsec.packets.reason_codes import (
    ALLOWED_REASON_CODES,
    SERVER_DISCONNECT_CODES,
    PacketType,
    connect_return_code,
)
from mqttsec.trace.events import EventKind

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection


def announced_protocol(frame: bytes) -> int:
    """The protocol in which to answer a CONNECT, read before the whole of it is checked."""
    at = 2
    while at < 6 and at < len(frame) and frame[at - 1] & 0x80:
        at += 1
    level = frame[at + 6 : at + 7]
    return MQTT_5 if level and level[0] >= MQTT_5 else MQTT_3_1_1


def begin(connection: Connection, connect: Connect) -> None:
    """A well-formed CONNECT came."""
    connection.connect = connect
    connection.protocol = connect.protocol
    connection.expects = Expect.AUTHENTICATION
    connection.copies.announce(connect, connection.broker.settings.topic_alias_maximum)
    enhanced = connect.properties.authentication_method is not None
    if enhanced:
        # From here on each round has a time limit of its own.
        connection.cancel_timer()
    connection.wait_for(_admit, connection, connect, reading=enhanced)


def refuse(
    connection: Connection, reason_code: int, reason: str, server_reference: str | None = None
) -> None:
    """Answer a CONNECT with a CONNACK of 0x80 or more, and close (3.1.4, 3.2.2.2)."""
    if connection.expects is Expect.NOTHING:
        return
    if (
        connection.connect is None
        and connection.protocol < MQTT_5
        and reason_code != ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    ):
        # 3.1.1, 3.1.4: a CONNECT that is not valid is answered by closing the connection.
        connection.abandon(reason)
        return
    connection.broker.observe(EventKind.REJECTED, connection, detail=f"{reason} (0x{reason_code:02X})")
    if reason_code < 0x80:
        # An authentication method that refuses with a word of success.
        reason_code = ReasonCode.NOT_AUTHORIZED
    elif reason_code not in ALLOWED_REASON_CODES[PacketType.CONNACK]:
        reason_code = ReasonCode.PROTOCOL_ERROR
    if connection.protocol < MQTT_5:
        connection.send(Connack(False, connect_return_code(reason_code)))
    else:
        # A client of a later version may not even know what a Reason String is.
        unknown = reason_code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
        why = NO_PROPERTIES if unknown else because(reason, server_reference)
        connection.send(Connack(False, reason_code, why))
    connection.close()


async def _admit(connection: Connection, connect: Connect) -> None:
    try:
        session, assigned = _new_session(connection, connect)
        success = await _authenticate(connection, connect, session)
        _enter(connection, connect, session, assigned, success)
        _settle(connection, success)
    except AuthenticationError as error:
        refuse(connection, error.reason_code, str(error))


def _settle(connection: Connection, success: AuthSuccess) -> None:
    """Tell the authentication method what became of its client."""
    session = connection.session
    if session is not None and success.entered is not None:
        tell(success.entered, session)
        connection.broker.schedule_flush()
    elif session is None and success.abandoned is not None:
        success.abandoned()


def _new_session(connection: Connection, connect: Connect) -> tuple[Session, str | None]:
    """The session-to-be of a client that is not authenticated yet, and its Assigned Client Identifier.

    Raises `ProtocolError` for a CONNECT that cannot be accepted whoever sends it.
    """
    settings = connection.broker.settings
    client_id, assigned = connect.client_id, None
    if not client_id:
        # 3.1.1 [MQTT-3.1.3-8]: "If the Client supplies a zero-byte ClientId with CleanSession set to 0, the
        # Server MUST respond ... 0x02 (Identifier rejected)". MQTT 5 [MQTT-3.1.3-6] just assigns one.
        if connect.protocol < MQTT_5 and not connect.clean_start:
            raise ProtocolError(
                "an empty Client Identifier needs Clean Session", ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
            )
        client_id = connection.broker.new_client_id()
        assigned = client_id if connect.protocol >= MQTT_5 else None
    will = connect.will
    # [MQTT-3.2.2-12], [MQTT-3.2.2-13]: a Will beyond what the broker supports is refused.
    if will is not None and will.qos > settings.maximum_qos:
        raise ProtocolError("the Will QoS is above the Maximum QoS", ReasonCode.QOS_NOT_SUPPORTED)
    if will is not None and will.retain and not settings.retain_available:
        raise ProtocolError("retained messages are not available here", ReasonCode.RETAIN_NOT_SUPPORTED)
    session = Session(client_id, connect.protocol)
    session.username = connect.username
    session.password = (
        None if connect.password is None else connect.password.decode("utf-8", "surrogateescape")
    )
    session.clean_session = connect.clean_start
    session.remote_address, session.remote_port = connection.address()
    session.ssl_object = connection.ssl_object()
    return session, assigned


async def _authenticate(connection: Connection, connect: Connect, session: Session) -> AuthSuccess:
    """By enhanced authentication where CONNECT names a method, else by amqtt's plugins.

    Raises `AuthenticationError`.
    """
    broker = connection.broker
    name = connect.properties.authentication_method
    if broker.required_method is not None and name != broker.required_method:
        raise AuthenticationError(
            f"this broker wants Authentication Method {broker.required_method!r}",
            ReasonCode.NOT_AUTHORIZED if name is None else ReasonCode.BAD_AUTHENTICATION_METHOD,
        )
    if name is not None:
        # Nobody has checked the User Name of the CONNECT; access rules must not go by it.
        session.username = session.password = None
        return await _converse(
            connection, connect, session, connect.properties.authentication_data, again=False
        )
    if not await broker._authenticate(session, broker.listeners_config[connection.listener]):
        raise AuthenticationError(
            "user name and password, or their absence, do not do here", ReasonCode.NOT_AUTHORIZED
        )
    if broker.guard is not None:
        code = broker.guard.admit(session)
        if code >= 0x80:
            raise AuthenticationError("this Client Identifier needs an Authentication Method here", code)
    return AuthSuccess()


async def _converse(
    connection: Connection, connect: Connect, session: Session, data: bytes | None, again: bool
) -> AuthSuccess:
    broker = connection.broker
    method = broker.methods.get(connect.properties.authentication_method or "")
    if method is None:
        # [MQTT-4.12.0-1] "If the Server does not support the Authentication Method supplied by the Client, it
        # MAY send a CONNACK with a Reason Code of 0x8C".
        raise AuthenticationError(
            "this Authentication Method is not known here", ReasonCode.BAD_AUTHENTICATION_METHOD
        )
    conversation = AuthConversation(
        connect, session, data, again, connection.send, broker.settings.connect_timeout
    )
    connection.conversation = conversation
    limit = broker.call_later(broker.settings.authentication_timeout, conversation.interrupt)
    try:
        return await method.authenticate(conversation)
    except asyncio.CancelledError:
        if not conversation.was_interrupted():
            raise
        raise AuthenticationError(
            "the authentication was not over in time", ReasonCode.SERVER_UNAVAILABLE
        ) from None
    except (AuthenticationError, ProtocolError):
        raise
    except Exception as error:
        # A fault in a method must not be the client's way in, nor the broker's end.
        report_fault(f"authentication method {method.method!r}", session.client_id, error)
        raise AuthenticationError(
            "the authentication failed inside the broker", ReasonCode.UNSPECIFIED_ERROR
        ) from error
    finally:
        limit.cancel()
        connection.conversation = None


def _enter(
    connection: Connection, connect: Connect, session: Session, assigned: str | None, success: AuthSuccess
) -> None:
    """The client is who it says: take over or begin its session, and answer (3.1.4, 3.2)."""
    if connection.expects is Expect.NOTHING:
        # It said DISCONNECT, or broke a rule, while it was being authenticated.
        return
    broker, settings = connection.broker, connection.broker.settings
    old = broker.session(session.client_id)
    if old is not None and old.connection is not None:
        # [MQTT-3.1.4-3] "If the ClientID represents a Client already connected to the Server, the Server
        # sends a DISCONNECT packet to the existing Client with Reason Code of 0x8E ... and MUST close
        # the Network Connection of the existing Client."
        old.connection.end(ReasonCode.SESSION_TAKEN_OVER, "another connection took this session over")
        old = broker.session(session.client_id)
    if old is not None and connect.clean_start:
        # [MQTT-3.1.2-4] Clean Start: "the Client and Server MUST discard any existing Session".
        broker.end_session(old)
        old = None
    if old is None and len(broker.sessions) >= settings.max_sessions:
        _refuse_for_want_of_room(connection)
        return
    present = old is not None
    if old is not None:
        session = _resume(old, session)
    session.expiry_interval = _expiry(connect, settings.maximum_session_expiry)
    session.will = connect.will
    keep_alive = connect.keep_alive
    if settings.server_keep_alive is not None and connect.protocol >= MQTT_5:
        keep_alive = settings.server_keep_alive
    session.keep_alive = keep_alive
    connection.session = session
    session.connection = connection
    broker.enter(session, connection)
    session.outbox.resume(min(connect.properties.receive_maximum or 65_535, settings.max_inflight))
    connection.send(_connack(connection, connect, session, present, assigned, success))
    connection.accepted(keep_alive)
    connection.pump()
    broker.fire(BrokerEvents.CLIENT_CONNECTED, client_id=session.client_id, client_session=session)
    broker.schedule_flush()


def _refuse_for_want_of_room(connection: Connection) -> None:
    elsewhere = connection.broker.settings.server_reference
    code = ReasonCode.QUOTA_EXCEEDED if elsewhere is None else ReasonCode.USE_ANOTHER_SERVER
    refuse(connection, code, "no more sessions are kept here", elsewhere)


def _resume(old: Session, fresh: Session) -> Session:
    """The kept session with what the new connection brought."""
    old.cancel_timers()
    if old.protocol != fresh.protocol:
        old.outbox.adopt_protocol(fresh.protocol)
    for name in (
        "protocol",
        "username",
        "password",
        "clean_session",
        "remote_address",
        "remote_port",
        "ssl_object",
        "is_anonymous",
        "channel",
    ):
        setattr(old, name, getattr(fresh, name))
    old.attributes.update(fresh.attributes)
    return old


def _expiry(connect: Connect, longest: int) -> int:
    if connect.protocol < MQTT_5:
        # 3.1.2.11.2: Clean Session 0 of 3.1.1 is a Session Expiry Interval without end.
        return 0 if connect.clean_start else longest
    return min(connect.properties.session_expiry_interval or 0, longest)


def _connack(
    connection: Connection,
    connect: Connect,
    session: Session,
    present: bool,
    assigned: str | None,
    success: AuthSuccess,
) -> Connack:
    if connect.protocol < MQTT_5:
        return Connack(present)
    settings = connection.broker.settings
    asked = connect.properties.session_expiry_interval or 0
    properties = Properties(
        # 3.2.2.3.2: if it is absent "the value in the CONNECT Packet is used".
        session_expiry_interval=session.expiry_interval if session.expiry_interval != asked else None,
        receive_maximum=settings.receive_maximum if settings.receive_maximum < 65_535 else None,
        maximum_qos=settings.maximum_qos if settings.maximum_qos < 2 else None,
        retain_available=None if settings.retain_available else 0,
        maximum_packet_size=settings.maximum_packet_size,
        assigned_client_identifier=assigned,
        topic_alias_maximum=settings.topic_alias_maximum or None,
        wildcard_subscription_available=None if settings.wildcard_subscription_available else 0,
        subscription_identifier_available=None if settings.subscription_identifier_available else 0,
        shared_subscription_available=None if settings.shared_subscription_available else 0,
        server_keep_alive=settings.server_keep_alive,
        response_information=_response_information(connection, connect, session),
        # [MQTT-4.12.0-5] a successful CONNACK names the Authentication Method of the CONNECT.
        authentication_method=connect.properties.authentication_method,
        authentication_data=success.data,
        user_property=success.user_property,
    )
    return Connack(present, ReasonCode.SUCCESS, properties)


def _response_information(connection: Connection, connect: Connect, session: Session) -> str | None:
    """A part of the topic tree "which is reserved for this Client" (3.2.2.3.15), for one that asks."""
    # [MQTT-3.1.2-28] a Request Response Information of 0, which is the default: "the Server MUST NOT return
    # Response Information".
    root = connection.broker.settings.response_information
    if root is None or connect.properties.request_response_information != 1:
        return None
    if "+" in session.client_id or "#" in session.client_id:
        # No topic that somebody could publish an answer to.
        return None
    return f"{root}/{session.client_id}"


def on_auth(connection: Connection, packet: Auth) -> None:
    """AUTH came: an answer to a challenge, or the wish to re-authenticate (4.12, 4.12.1).

    Raises `ProtocolError`.
    """
    connect = connection.connect
    method = connect.properties.authentication_method if connect is not None else None
    if connect is None or method is None:
        # 4.12.0: without an Authentication Method in CONNECT, neither side may send AUTH [MQTT-4.12.0-7].
        raise ProtocolError("AUTH without an Authentication Method in CONNECT")
    # [MQTT-4.12.0-5], [MQTT-4.12.1-1]: always the Authentication Method of the CONNECT.
    if packet.properties.authentication_method != method:
        raise ProtocolError("AUTH names another Authentication Method than CONNECT")
    data = packet.properties.authentication_data
    if packet.reason_code == ReasonCode.CONTINUE_AUTHENTICATION:
        if connection.conversation is None or not connection.conversation.expects_answer:
            raise ProtocolError("AUTH 0x18 answers no challenge")
        connection.conversation.answer(data)
    elif (
        packet.reason_code == ReasonCode.RE_AUTHENTICATE
        and connection.expects is Expect.PACKETS
        and not connection.authenticates_again
    ):
        connection.meanwhile(_authenticate_again(connection, connect, data))
    else:
        raise ProtocolError(f"AUTH 0x{packet.reason_code:02X} does not fit here")


async def _authenticate_again(connection: Connection, connect: Connect, data: bytes | None) -> None:
    """4.12.1: success is AUTH 0x00; on failure the Server closes with DISCONNECT [MQTT-4.12.1-2]."""
    session = connection.session
    if session is None:
        return
    try:
        success = await _converse(connection, connect, session, data, again=True)
    except (AuthenticationError, ProtocolError) as error:
        known = error.reason_code >= 0x80 and error.reason_code in SERVER_DISCONNECT_CODES
        connection.end(error.reason_code if known else ReasonCode.NOT_AUTHORIZED, str(error))
        return
    if connection.session is session:
        connection.send(
            Auth(
                ReasonCode.SUCCESS,
                Properties(
                    authentication_method=connect.properties.authentication_method,
                    authentication_data=success.data,
                    user_property=success.user_property,
                ),
            )
        )
        _settle(connection, success)
    elif success.abandoned is not None:
        success.abandoned()
