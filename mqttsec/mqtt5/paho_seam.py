"""Where mqttsec meets the inside of paho-mqtt: AUTH, exact packets for the trace, memory links.

paho has no AUTH (it takes packet type 15 for an error) and no place to see packets as bytes, so a few
of its private methods are overridden here and nowhere else. `tests/mqtt5/test_client.py` names
every private member used, so that an upgrade of paho that moves one fails loudly.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion, _ConnectionState
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode as PahoReasonCode

from mqttsec.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    MqttsecError,
    ProtocolError,
)
from mqttsec.mqtt5.client_auth import Authenticator, ClientAuthentication, farewell
from mqttsec.mqtt5.recorder import Recorder
from mqttsec.packets import (
    MQTT_5,
    NO_PROPERTIES,
    Auth,
    Connack,
    PacketType,
    Puback,
    Pubcomp,
    Pubrec,
    Suback,
    Unsuback,
    decode,
    encode,
    reason_name,
)
from mqttsec.trace.events import Trace

if TYPE_CHECKING:
    from mqttsec.net import LinkSettings, MemoryNetwork

_INBOX = 10_000
"""Messages kept for `messages`; without a reader the oldest are dropped."""

_BEFORE_CONNACK = frozenset({PacketType.CONNECT, PacketType.AUTH, PacketType.DISCONNECT})

_SOON = 0.001
"""Seconds; the keep alive of a link is looked at no more often."""


class PahoSeam(paho.Client):
    """The overridden parts of a paho client; `Client` adds what a lab calls. See there for the arguments."""

    def __init__(
        self,
        callback_api_version: CallbackAPIVersion = CallbackAPIVersion.VERSION2,
        client_id: str = "",
        clean_session: bool | None = None,
        userdata: Any = None,
        protocol: int = MQTT_5,
        transport: Literal["tcp", "websockets", "unix"] = "tcp",
        reconnect_on_failure: bool = True,
        manual_ack: bool = False,
        *,
        authenticator: Authenticator | None = None,
        trace: Trace | None = None,
        peer: str = "broker",
        network: MemoryNetwork | None = None,
        link: LinkSettings | None = None,
    ) -> None:
        # paho's destructor closes the connection even of a client whose construction failed.
        self._sock = self._sockpairR = self._sockpairW = None
        if authenticator is not None and protocol < MQTT_5:
            raise ConfigurationError("MQTT 3.1.1 has no enhanced authentication; use protocol=5")
        self.authenticator = authenticator
        """The Client's side of the authentication method, used from the next connection on."""
        self._network = network
        self._link_settings = link
        self._keep_alive_timer: asyncio.TimerHandle | None = None
        self._recorder = Recorder(trace, client_id, peer, protocol)
        self._sending = b""
        self._unsent = 0
        self._authentication = ClientAuthentication(None)
        self._news = threading.Condition()
        self._watchers: list[asyncio.Future[None]] = []
        self._connack: Connack | None = None
        self._try_again_later: bool | None = None
        self._failure: MqttsecError | None = None
        self._ended: ConnectionFailed | None = None
        self._answers: dict[int, tuple[int, ...]] = {}
        self._inbox: deque[paho.MQTTMessage] = deque(maxlen=_INBOX)
        try:
            super().__init__(
                callback_api_version, client_id, clean_session, userdata, MQTTProtocolVersion(protocol),
                transport, reconnect_on_failure, manual_ack,
            )
        except ValueError as error:
            raise ConfigurationError(f"paho cannot make this client: {error}") from error
        if network is not None:
            _let_paho_ask_the_loop_for_the_time()

    # What paho calls -------------------------------------------------------

    def _create_socket(self) -> Any:
        if self._network is None:
            return super()._create_socket()
        from mqttsec.net import LinkSocket

        socket: LinkSocket = LinkSocket(
            self._network, self._host, self._port,
            source=self._client_id.decode() or None, settings=self._link_settings,
            on_readable=self._link_readable, on_writable=self.loop_write,
        )
        return socket

    def _call_socket_open(self, sock: Any) -> None:
        self._failure = self._ended = None
        if threading.current_thread() is not self._thread:
            # Not when paho's thread connects again: somebody may still be looking for the first one.
            self._connack = None
        self._unsent = 0
        self._recorder.opened(protected=self._ssl)
        self._arm_keep_alive()
        super()._call_socket_open(sock)

    def _call_socket_close(self, sock: Any) -> None:
        if self._keep_alive_timer is not None:
            self._keep_alive_timer.cancel()
        if self._unsent:
            self._recorder.lost(self._sending)
            self._unsent = 0
        self._recorder.closed()
        super()._call_socket_close(sock)

    def _sock_send(self, buf: bytes | bytearray) -> int:
        # paho hands over one packet at a time, and the rest of it again if not all of it was taken.
        if not self._unsent:
            self._sending = bytes(buf)
            self._unsent = len(buf)
            self._recorder.sent(self._sending)
        count = super()._sock_send(buf)
        self._unsent -= count
        return count

    def _send_connect(self, keepalive: int) -> MQTTErrorCode:
        self._authentication = ClientAuthentication(self.authenticator)
        if self.authenticator is None:
            return super()._send_connect(keepalive)
        try:
            said = self._authentication.begin(NO_PROPERTIES)
        except AuthenticationError as error:
            self._failure = error
            self._sock_close()
            self._state = _ConnectionState.MQTT_CS_DISCONNECTED
            return MQTTErrorCode.MQTT_ERR_AUTH
        asked = self._connect_properties
        properties = _properties(PacketTypes.CONNECT) if asked is None else copy.copy(asked)
        properties.AuthenticationMethod = said.authentication_method
        if said.authentication_data is not None:
            properties.AuthenticationData = said.authentication_data
        self._connect_properties = properties
        try:
            return super()._send_connect(keepalive)
        finally:
            # A reconnection begins a new exchange, with a first word of its own.
            self._connect_properties = asked

    def _packet_queue(
        self,
        command: int,
        packet: bytes | bytearray,
        mid: int,
        qos: int,
        info: paho.MQTTMessageInfo | None = None,
    ) -> MQTTErrorCode:
        # [MQTT-3.1.2-30] "If a Client sets an Authentication Method in the CONNECT, the Client MUST NOT send
        # any packets other than AUTH or DISCONNECT packets until it has received a CONNACK packet." To paho
        # it is as if there were no connection yet: it sends QoS 1 and 2 messages after the CONNACK.
        if self.authenticator is not None and not self.is_connected() and command >> 4 not in _BEFORE_CONNACK:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        return super()._packet_queue(command, packet, mid, qos, info)

    def _packet_handle(self) -> MQTTErrorCode:
        raw = self._in_packet
        frame = bytes((raw["command"], *raw["remaining_count"])) + bytes(raw["packet"])
        self._recorder.received(frame)
        try:
            # Only what is well formed gets to paho, whose own reading may fail in ways it does not catch.
            packet = decode(frame, MQTT_5 if self._protocol == MQTT_5 else 4, from_client=False)
        except ProtocolError as error:
            return self._complain(error)
        try:
            if isinstance(packet, Auth):
                reply = self._authentication.answer(packet)
                return MQTTErrorCode.MQTT_ERR_SUCCESS if reply is None else self._send_auth(reply)
            if isinstance(packet, Connack) and not packet.reason_code:
                self._authentication.accept(packet.properties)
                self._end_first_try()
        except (AuthenticationError, ProtocolError) as error:
            self._give_up(error)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        finally:
            self._tell()
        return self._handle(packet)

    def _handle(self, packet: object) -> MQTTErrorCode:
        try:
            if isinstance(packet, Pubrec) and packet.reason_code >= 0x80:
                return self._end_delivery(packet)
            if isinstance(packet, Connack) and packet.properties.assigned_client_identifier:
                self._recorder.party = packet.properties.assigned_client_identifier
            return super()._packet_handle()
        finally:
            # After paho, so that whoever waits finds paho's callbacks done.
            if isinstance(packet, Connack):
                self._connack = packet
            elif isinstance(packet, (Suback, Unsuback)):
                self._answers[packet.packet_id] = packet.reason_codes
            elif isinstance(packet, Puback) or (isinstance(packet, Pubrec) and packet.reason_code >= 0x80):
                self._answers[packet.packet_id] = (packet.reason_code,)
            elif isinstance(packet, Pubcomp):
                # Table 3-7: 0x92 Packet Identifier not found "is not an error during recovery".
                self._answers[packet.packet_id] = (0,)
            self._tell()

    def _end_delivery(self, pubrec: Pubrec) -> MQTTErrorCode:
        # [MQTT-4.3.3-4] only a PUBREC "with a Reason Code value less than 0x80" is followed by PUBREL; paho
        # sends one always, and would then wait for a PUBCOMP.
        with self._out_message_mutex:
            if pubrec.packet_id in self._out_messages:
                reason = _reason(PacketTypes.PUBREC, pubrec.reason_code)
                return self._do_on_publish(pubrec.packet_id, reason, _properties(PacketTypes.PUBREC))
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_on_message(self, message: paho.MQTTMessage) -> None:
        self._inbox.append(message)
        self._tell()
        super()._handle_on_message(message)

    def _do_on_disconnect(
        self,
        packet_from_broker: bool,
        v1_rc: MQTTErrorCode,
        reason: PahoReasonCode | None = None,
        properties: PahoProperties | None = None,
    ) -> None:
        if self._failure is not None and reason is None:
            # What was wrong, instead of the "Normal disconnection" that paho makes of our own DISCONNECT.
            reason = _reason(PacketTypes.DISCONNECT, _code(self._failure))
            text = str(self._failure)
        elif reason is not None:
            text = f"the Server said {reason_name(reason.value)}"
        elif v1_rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            text = "it has disconnected"
        else:
            text = paho.error_string(v1_rc)
        try:
            super()._do_on_disconnect(packet_from_broker, v1_rc, reason, properties)
        finally:
            code = None if reason is None else reason.value
            self._ended = ConnectionFailed(f"{self._name}: the connection ended: {text}", code)
            self._tell()

    def _mid_generate(self) -> int:
        mid = super()._mid_generate()
        self._answers.pop(mid, None)
        return mid

    # The link instead of a socket ---------------------------------------------------------------

    def _link_readable(self) -> None:
        self.loop_read()
        # What callbacks queued is not written by paho itself; its own thread would do it now.
        if self.want_write():
            self.loop_write()

    def _arm_keep_alive(self) -> None:
        """Have paho look at its keep alive when it is due, instead of every second."""
        if self._network is None or self._sock is None:
            return
        loop = asyncio.get_running_loop()
        since = min(self._last_msg_out, self._last_bytes_received)
        if self._ping_t > 0:
            since = min(since, self._ping_t)
        if self._keepalive:
            due = max(since + self._keepalive, loop.time() + _SOON)
            self._keep_alive_timer = loop.call_at(due, self._keep_alive_due)

    def _keep_alive_due(self) -> None:
        self.loop_misc()
        self._arm_keep_alive()

    # Small parts ------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self._recorder.party

    def _begin_first_try(self) -> None:
        """Until the first CONNACK a failure is for the caller to see, not for paho to try again."""
        self._try_again_later, self._reconnect_on_failure = self._reconnect_on_failure, False

    def _end_first_try(self) -> None:
        # Called by paho's thread at the CONNACK: if the connection ends right after it, paho tries again.
        if self._try_again_later is not None:
            self._reconnect_on_failure, self._try_again_later = self._try_again_later, None

    def _send_auth(self, auth: Auth) -> MQTTErrorCode:
        frame = encode(auth)
        return self._packet_queue(frame[0], frame, 0, 0)

    def _complain(self, error: ProtocolError) -> MQTTErrorCode:
        """Say what is wrong with a packet (4.13) and end the connection; paho may connect again."""
        self._failure = error
        if self._protocol == MQTT_5:
            self._send_disconnect(_reason(PacketTypes.DISCONNECT, _code(error)))
            self.loop_write()
        # Once its DISCONNECT is written paho has closed the connection and told everybody.
        return MQTTErrorCode.MQTT_ERR_SUCCESS if self._sock is None else MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _give_up(self, error: AuthenticationError | ProtocolError) -> None:
        """End the connection for `error`; paho does not connect again by itself."""
        self._failure = error
        self.disconnect(_reason(PacketTypes.DISCONNECT, _code(error)))

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)


def _time() -> float:
    """The time of the asyncio loop that runs in this thread, or else the real one."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def _let_paho_ask_the_loop_for_the_time() -> None:
    """paho's clock is one module-wide name; it becomes the loop's, which differs under virtual time only."""
    paho.time_func = _time


def _code(error: MqttsecError) -> int:
    """The Reason Code under which a Client may report `error`."""
    return farewell(getattr(error, "reason_code", 0x80)).reason_code


def _reason(packet_type: int, code: int) -> PahoReasonCode:
    return PahoReasonCode(packet_type, identifier=code)


def _properties(packet_type: int) -> PahoProperties:
    """paho's `Properties`, whose constructor has no types."""
    return PahoProperties(packet_type)  # type: ignore[no-untyped-call]
