"""CONNECT and CONNACK, PINGREQ and PINGRESP, DISCONNECT and AUTH: bytes to packets and back.

Each `pull_*` reads what follows the Fixed Header; each `push_*` writes it and returns the flags of
the Fixed Header. `check_*_sender` are the rules about who may say what.
"""

from __future__ import annotations

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Will,
)
from mqttsec.packets.parts import (
    QOS_MEANINGS,
    check_qos,
    check_reason,
    check_response_topic,
    pull_own_properties,
    pull_reason,
    push_own_properties,
)
from mqttsec.packets.properties import NO_PROPERTIES, Properties, Where, pull_properties, push_properties
from mqttsec.packets.reason_codes import (
    CLIENT_AUTH_CODES,
    CLIENT_DISCONNECT_CODES,
    RETURN_CODE_NAMES,
    SERVER_AUTH_CODES,
    SERVER_DISCONNECT_CODES,
    PacketType,
    ReasonCode,
    reason_name,
)
from mqttsec.packets.topics import check_topic_name
from mqttsec.packets.wire import Reader, push_binary_data, push_two_byte_integer, push_utf8_string

# CONNECT and CONNACK ---------------------------------------------------------------------------


def _check_connect(name: str, version: int) -> None:
    # [MQTT-3.1.2-1] "The protocol name MUST be the UTF-8 String "MQTT"."; [MQTT-3.1.2-2] the Server may
    # answer 0x84 to a Protocol Version that it does not take. We take 5 and 4 (MQTT 3.1.1).
    if name != "MQTT" or version not in (MQTT_5, MQTT_3_1_1):
        raise ProtocolError(f"protocol {name!r} version {version} is not spoken here; use MQTT 5.0 or 3.1.1",
                            ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)


def _check_password_flag(has_user: bool, has_password: bool, version: int) -> None:
    if has_password and not has_user and version == MQTT_3_1_1:
        # 3.1.1 [MQTT-3.1.2-22] "If the User Name Flag is set to 0, the Password Flag MUST be set to 0"; MQTT
        # 5 allows it (3.1.2.9).
        raise MalformedPacketError("MQTT 3.1.1 allows no Password without a User Name")


def _check_authentication(properties: Properties) -> None:
    if properties.authentication_data is not None and properties.authentication_method is None:
        # 3.1.2.11.10 "It is a Protocol Error to include Authentication Data if there is no Authentication
        # Method."
        raise ProtocolError("Authentication Data without an Authentication Method")


def pull_connect(reader: Reader, flags: int, protocol: int) -> Connect:
    """Pull a CONNECT (3.1); it says its own Protocol Version."""
    name = reader.utf8_string("Protocol Name")
    version = reader.byte("Protocol Version", {MQTT_5: "MQTT 5.0", MQTT_3_1_1: "MQTT 3.1.1"})
    _check_connect(name, version)
    bits = reader.byte("Connect Flags")
    has_user, has_password, will_retain = bool(bits & 0x80), bool(bits & 0x40), bool(bits & 0x20)
    will_qos, has_will, clean_start = bits >> 3 & 3, bool(bits & 0x04), bool(bits & 0x02)
    reader.part("User Name Flag", int(has_user))
    reader.part("Password Flag", int(has_password))
    reader.part("Will Retain", int(will_retain))
    reader.part("Will QoS", will_qos, QOS_MEANINGS[will_qos])
    reader.part("Will Flag", int(has_will))
    reader.part("Clean Start" if version == MQTT_5 else "Clean Session", int(clean_start))
    reader.part("reserved", bits & 1)
    # [MQTT-3.1.2-3] "The Server MUST validate that the reserved flag in the CONNECT packet is set to 0."
    if bits & 0x01:
        raise MalformedPacketError("the reserved Connect Flag is set")
    # [MQTT-3.1.2-11] "If the Will Flag is set to 0, then the Will QoS MUST be set to 0"; [MQTT-3.1.2-13] the
    # same for Will Retain; [MQTT-3.1.2-12] "A value of 3 (0x03) is a Malformed Packet."
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise MalformedPacketError("the Will QoS or Will Retain does not go with the Will Flag")
    _check_password_flag(has_user, has_password, version)
    keep_alive = reader.two_byte_integer("Keep Alive")
    properties = pull_own_properties(reader, version, Where.CONNECT)
    _check_authentication(properties)
    # [MQTT-3.1.3-1] the order is "Client Identifier, Will Properties, Will Topic, Will Payload, User Name,
    # Password".
    client_id = reader.utf8_string("Client Identifier")
    will = None
    if has_will:
        will_properties = pull_own_properties(reader, version, Where.WILL)
        check_response_topic(will_properties)
        topic = reader.utf8_string("Will Topic")
        payload = reader.binary_data("Will Payload")
        will = Will(check_topic_name(topic), payload, will_qos, will_retain, will_properties)
    username = reader.utf8_string("User Name") if has_user else None
    password = reader.binary_data("Password") if has_password else None
    return Connect(client_id, clean_start, keep_alive, username, password, will, properties, version)


def push_connect(out: bytearray, connect: Connect, protocol: int) -> int:
    """Append a CONNECT for its own Protocol Version."""
    will, version = connect.will, connect.protocol
    _check_connect("MQTT", version)
    has_user, has_password = connect.username is not None, connect.password is not None
    _check_password_flag(has_user, has_password, version)
    push_utf8_string(out, "MQTT", "Protocol Name")
    out.append(version)
    bits = has_user << 7 | has_password << 6 | connect.clean_start << 1
    if will is not None:
        bits |= will.retain << 5 | check_qos(will.qos) << 3 | 0x04
    out.append(bits)
    push_two_byte_integer(out, connect.keep_alive, "Keep Alive")
    _check_authentication(connect.properties)
    push_own_properties(out, connect.properties, version, Where.CONNECT)
    push_utf8_string(out, connect.client_id, "Client Identifier")
    if will is not None:
        check_response_topic(will.properties)
        push_own_properties(out, will.properties, version, Where.WILL)
        push_utf8_string(out, check_topic_name(will.topic), "Will Topic")
        push_binary_data(out, will.payload, "Will Payload")
    if connect.username is not None:
        push_utf8_string(out, connect.username, "User Name")
    if connect.password is not None:
        push_binary_data(out, connect.password, "Password")
    return 0


def _check_connack(session_present: bool, code: int, protocol: int) -> None:
    if protocol >= MQTT_5:
        check_reason(code, PacketType.CONNACK)
    elif code not in RETURN_CODE_NAMES:
        # 3.1.1, table 3.1: 6 to 255 are "reserved for future use".
        raise ProtocolError(f"MQTT 3.1.1 has no Connect Return code {code}; `connect_return_code` translates")
    if session_present and code:
        # [MQTT-3.2.2-6] (3.1.1 [MQTT-3.2.2-4]) "If a Server sends a CONNACK packet containing a non-zero
        # Reason Code it MUST set Session Present to 0."
        raise ProtocolError("a CONNACK refuses the connection and says Session Present")


def pull_connack(reader: Reader, flags: int, protocol: int) -> Connack:
    """Pull a CONNACK (3.2)."""
    bits = reader.byte("Connect Acknowledge Flags")
    reader.part("Session Present", bits & 1)
    # [MQTT-3.2.2-1] "Bits 7-1 are reserved and MUST be set to 0."
    if bits & 0xFE:
        raise MalformedPacketError("reserved Connect Acknowledge Flags are set")
    if protocol >= MQTT_5:
        code = pull_reason(reader, PacketType.CONNACK)
    else:
        code = reader.byte("Connect Return code", RETURN_CODE_NAMES)
    _check_connack(bool(bits), code, protocol)
    properties = pull_own_properties(reader, protocol, Where.CONNACK)
    _check_authentication(properties)
    return Connack(bool(bits), code, properties)


def push_connack(out: bytearray, connack: Connack, protocol: int) -> int:
    """Append a CONNACK."""
    _check_connack(connack.session_present, connack.reason_code, protocol)
    _check_authentication(connack.properties)
    out.append(connack.session_present)
    out.append(connack.reason_code)
    push_own_properties(out, connack.properties, protocol, Where.CONNACK)
    return 0


# PINGREQ and PINGRESP --------------------------------------------------------------------------


def pull_pingreq(reader: Reader, flags: int, protocol: int) -> Pingreq:
    """Pull a PINGREQ (3.12), which is empty."""
    return Pingreq()


def pull_pingresp(reader: Reader, flags: int, protocol: int) -> Pingresp:
    """Pull a PINGRESP (3.13), which is empty."""
    return Pingresp()


def push_ping(out: bytearray, ping: Pingreq | Pingresp, protocol: int) -> int:
    """Append nothing: both packets are a Fixed Header."""
    return 0


# DISCONNECT and AUTH ---------------------------------------------------------------------------


def pull_disconnect(reader: Reader, flags: int, protocol: int) -> Disconnect:
    """Pull a DISCONNECT (3.14)."""
    # 3.14.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00 (Normal
    # disconnecton) and there are no Properties. In this case the DISCONNECT has a Remaining Length of 0."
    if protocol < MQTT_5 or not reader.remaining:
        return Disconnect()
    code = pull_reason(reader, PacketType.DISCONNECT)
    # 3.14.2.2.1: "If the Remaining Length is less than 2, a value of 0 is used" as the Property Length.
    properties = pull_properties(reader, Where.DISCONNECT) if reader.remaining else NO_PROPERTIES
    return Disconnect(code, properties)


def push_disconnect(out: bytearray, disconnect: Disconnect, protocol: int) -> int:
    """Append a DISCONNECT in its shortest form; MQTT 3.1.1 has no place for a reason."""
    check_reason(disconnect.reason_code, PacketType.DISCONNECT)
    if protocol >= MQTT_5 and (disconnect.reason_code or disconnect.properties != NO_PROPERTIES):
        out.append(disconnect.reason_code)
        if disconnect.properties != NO_PROPERTIES:
            push_properties(out, disconnect.properties, Where.DISCONNECT)
    return 0


def check_disconnect_sender(disconnect: Disconnect, from_client: bool) -> None:
    """Raise `ProtocolError` for a DISCONNECT that only the other side may send."""
    properties = disconnect.properties
    if disconnect.reason_code not in (CLIENT_DISCONNECT_CODES if from_client else SERVER_DISCONNECT_CODES):
        side = "Client" if from_client else "Server"
        raise ProtocolError(f"a {side} may not disconnect with {reason_name(disconnect.reason_code)}")
    if from_client and properties.server_reference is not None:
        # 3.14.2.2.5: "The Server sends DISCONNECT including a Server Reference".
        raise ProtocolError("a Client's DISCONNECT holds a Server Reference")
    if not from_client and properties.session_expiry_interval is not None:
        # [MQTT-3.14.2-2] "The Session Expiry Interval MUST NOT be sent on a DISCONNECT by the Server."
        raise ProtocolError("a Server's DISCONNECT holds a Session Expiry Interval")


def _check_auth(auth: Auth) -> None:
    # 3.15.2.2.2: "It is a Protocol Error to omit the Authentication Method". 3.15.2.1 lets an AUTH leave out
    # everything all the same where it says Success; that one form has no place for the method.
    if auth.properties.authentication_method is None and auth != Auth():
        raise ProtocolError("an AUTH without an Authentication Method")


def pull_auth(reader: Reader, flags: int, protocol: int) -> Auth:
    """Pull an AUTH (3.15)."""
    # 3.15.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00 (Success) and
    # there are no Properties. In this case the AUTH has a Remaining Length of 0."
    if not reader.remaining:
        return Auth()
    code = pull_reason(reader, PacketType.AUTH)
    auth = Auth(code, pull_properties(reader, Where.AUTH))
    _check_auth(auth)
    return auth


def push_auth(out: bytearray, auth: Auth, protocol: int) -> int:
    """Append an AUTH in its shortest form."""
    check_reason(auth.reason_code, PacketType.AUTH)
    _check_auth(auth)
    if auth != Auth():
        out.append(auth.reason_code)
        push_properties(out, auth.properties, Where.AUTH)
    return 0


def check_auth_sender(auth: Auth, from_client: bool) -> None:
    """Raise `ProtocolError` for an AUTH that only the other side may send."""
    # 3.15.2.1, column "Sent by": the Server says Success, the Client asks to re-authenticate.
    if auth.reason_code not in (CLIENT_AUTH_CODES if from_client else SERVER_AUTH_CODES):
        side = "Client" if from_client else "Server"
        raise ProtocolError(f"a {side}'s AUTH may not say {reason_name(auth.reason_code)}")
