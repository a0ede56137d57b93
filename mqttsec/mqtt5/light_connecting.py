"""How a `LightClient` connects, what it does with each packet that comes, and how its connection ends.

What it is asked for stands in `light`; one Network Connection is a `ClientLink`, what outlives it a
`ClientSession`.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from mqttsec.errors import (
    ConfigurationError,
    ConnectionFailed,
    MqttsecError,
    ProtocolError,
    TimedOut,
)
from mqttsec.mqtt5.arguments import shown
from mqttsec.mqtt5.client_auth import Authenticator, ClientAuthentication
from mqttsec.mqtt5.client_session import ClientSession
from mqttsec.mqtt5.granted import Granted, refusal
from mqttsec.mqtt5.inbox import Inbox
from mqttsec.mqtt5.light_link import ClientLink, settle
from mqttsec.mqtt5.recorder import Recorder
from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
    Will,
    encode,
    reason_name,
)
from mqttsec.trace.events import Trace

if TYPE_CHECKING:
    from mqttsec.net import LinkSettings, MemoryNetwork

_LARGEST_PACKET = 268_435_460


class LightConnecting:
    """The part of a light client that meets the Server; see `LightClient` for the arguments."""

    def __init__(
        self,
        client_id: str = "",
        *,
        clean_start: bool = True,
        keep_alive: int = 60,
        username: str | None = None,
        password: bytes | str | None = None,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
        protocol: int = MQTT_5,
        authenticator: Authenticator | None = None,
        auto_ack: bool = True,
        on_message: Callable[[Publish], None] | None = None,
        topic_aliases: bool = False,
        timeout: float | None = 30.0,
        trace: Trace | None = None,
        peer: str = "broker",
        network: MemoryNetwork | None = None,
    ) -> None:
        if protocol not in (MQTT_5, MQTT_3_1_1):
            raise ConfigurationError(f"protocol={protocol}: choose 5, or 4 for MQTT 3.1.1")
        if authenticator is not None and protocol < MQTT_5:
            raise ConfigurationError("MQTT 3.1.1 has no enhanced authentication; use protocol=5")
        if not isinstance(password, (bytes, str, type(None))):
            raise ConfigurationError(f"the password of {client_id!r} has to be text or bytes")
        self.client_id = client_id
        """Client Identifier; an empty one is replaced by what the Server assigns."""
        self.clean_start = clean_start
        self.keep_alive = keep_alive
        self.username = username
        self.password = password.encode() if isinstance(password, str) else password
        self.will = will
        self.properties = properties
        self.protocol = protocol
        self.authenticator = authenticator
        self.auto_ack = auto_ack
        self.on_message = on_message
        self.topic_aliases = topic_aliases
        self.timeout = timeout
        self.network = network
        self.connack: Connack | None = None
        """The CONNACK of the current or last connection."""
        self.granted = Granted()
        """The Server's limits, by that CONNACK."""
        self.server_disconnect: Disconnect | None = None
        """The DISCONNECT with which the Server ended the last connection, if it did."""
        self.session = ClientSession(properties.receive_maximum or 65_535)
        """What survives a connection; for a look, not to be changed."""
        self._check_properties(properties)
        self._recorder = Recorder(trace, client_id, peer, protocol)
        self._authentication = ClientAuthentication(None)
        self._link: ClientLink | None = None
        self._connecting = False
        self._connected = False
        self._clean = clean_start
        self._session_expiry = 0
        self._closed: asyncio.Future[MqttsecError | None] | None = None
        self._inbox = Inbox()
        self._steps: dict[PacketType, Callable[[ClientLink, Any], None]] = {
            PacketType.AUTH: self._on_auth,
            PacketType.DISCONNECT: self._on_disconnect,
            PacketType.PUBLISH: self._on_publish,
            PacketType.PUBACK: self._on_acknowledged,
            PacketType.PUBREC: self._on_acknowledged,
            PacketType.PUBCOMP: self._on_acknowledged,
            PacketType.PUBREL: self._on_pubrel,
            PacketType.SUBACK: self._on_answer,
            PacketType.UNSUBACK: self._on_answer,
            PacketType.PINGRESP: self._on_pingresp,
            PacketType.CONNACK: self._on_second_connack,
        }

    # Connecting -------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """True between CONNACK and the end of the connection."""
        return self._connected

    async def connect(
        self,
        host: str = "127.0.0.1",
        port: int = 1883,
        *,
        clean_start: bool | None = None,
        link: LinkSettings | None = None,
        ssl: ssl_module.SSLContext | None = None,
    ) -> Connack:
        """Connect and return the CONNACK; afterwards messages of a resumed session flow on.

        `clean_start` overrides the client's own for this connection; with False, deliveries that
        an earlier connection left unfinished are resumed. `link` are settings of this memory link,
        `ssl` is for TCP. Raises `ConnectionFailed` (with the Server's Reason Code where it gave
        one), `AuthenticationError` or `ProtocolError`.
        """
        if self._link is not None and self._link.ending:
            await self.wait_closed()
        if self._connecting or self._link is not None:
            raise ConfigurationError(f"{self._name} is connected already: disconnect first")
        self._connecting = True
        try:
            return await asyncio.wait_for(self._handshake(host, port, clean_start, link, ssl), self.timeout)
        except asyncio.TimeoutError:
            raise ConnectionFailed(
                f"{self._name}: no CONNACK from {host}:{port} within {self.timeout:g} s; "
                "is it an MQTT broker, and is it reachable?"
            ) from None
        finally:
            self._connecting = False

    async def _handshake(
        self,
        host: str,
        port: int,
        clean_start: bool | None,
        settings: LinkSettings | None,
        ssl: ssl_module.SSLContext | None,
    ) -> Connack:
        self._clean = self.clean_start if clean_start is None else clean_start
        self._authentication = ClientAuthentication(self.authenticator)
        frame = encode(Connect(
            self.client_id, self._clean, self.keep_alive, self.username, self.password, self.will,
            self._authentication.begin(self.properties), self.protocol,
        ))
        self.connack = self.server_disconnect = None
        self._session_expiry = self.properties.session_expiry_interval or 0
        try:
            if self.network is None:
                loop = asyncio.get_running_loop()
                _, link = await loop.create_connection(self._make_link, host, port, ssl=ssl)
            else:
                _, link = await self.network.connect(
                    self._make_link, host, port, source=self.client_id or None, settings=settings
                )
        except OSError as error:
            raise ConnectionFailed(
                f"{self._name}: no connection to {host}:{port} ({error}); is the broker running there?"
            ) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigurationError(
                f"{self._name} cannot connect to {shown(host)}, port {shown(port)}: {error}"
            ) from error
        if link.ended:
            raise ConnectionFailed(f"{self._name}: {host}:{port} closed the connection at once")
        self._link = link
        self._closed = asyncio.get_running_loop().create_future()
        connack = link.question(PacketType.CONNACK)
        link.send_frame(frame)
        try:
            return cast(Connack, await connack)
        except asyncio.CancelledError:
            link.abort(ConnectionFailed(f"{self._name}: connecting was given up"))
            raise

    def _make_link(self) -> ClientLink:
        largest = self.properties.maximum_packet_size or _LARGEST_PACKET
        link = ClientLink(self._recorder, largest, self._on_packet, self._on_lost)
        link.alias_maximum_in = self.properties.topic_alias_maximum or 0
        return link

    async def disconnect(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        """Send DISCONNECT and close; with 0x04 the Server publishes the will. No error if not connected."""
        link, closed = self._link, self._closed
        if link is None or closed is None:
            return
        self._check_properties(properties)
        if properties.session_expiry_interval is not None:
            self._session_expiry = properties.session_expiry_interval
        link.send(Disconnect(reason_code, properties))
        link.end()
        try:
            await self._within(asyncio.shield(closed), "the network to take the DISCONNECT")
        except TimedOut as late:
            link.abort(late)

    def abort(self) -> None:
        """Drop the connection without DISCONNECT, as a crash or a cut cable does."""
        if self._link is not None:
            self._link.abort(ConnectionFailed(f"{self._name} dropped the connection"))

    async def wait_closed(self) -> MqttsecError | None:
        """Wait for the end of the connection and say why it ended; None after `disconnect`."""
        return None if self._closed is None else await asyncio.shield(self._closed)

    # What comes in ----------------------------------------------------------------------------

    def _on_packet(self, link: ClientLink, packet: Packet) -> None:
        if self._connected or isinstance(packet, (Auth, Disconnect)):
            self._steps[packet.packet_type](link, packet)
        elif isinstance(packet, Connack):
            self._on_connack(link, packet)
        else:
            # [MQTT-3.2.0-1] CONNACK comes "before sending any packet other than AUTH".
            raise ProtocolError(f"{packet.packet_type.name} came before CONNACK")

    def _on_connack(self, link: ClientLink, connack: Connack) -> None:
        self.connack = connack
        if connack.reason_code:
            link.end(refusal(self._name, connack, self.protocol))
            return
        named = connack.properties
        self._authentication.accept(named)
        if connack.session_present and self._clean:
            # [MQTT-3.2.2-2] after Clean Start 1 Session Present is 0.
            raise ProtocolError("the Server speaks of a session, though a clean start was asked for")
        self.client_id = named.assigned_client_identifier or self.client_id
        self._recorder.party = self.client_id or self._recorder.party
        if named.session_expiry_interval is not None:
            self._session_expiry = named.session_expiry_interval
        self.granted = Granted.by(connack)
        link.alias_maximum_out = self.granted.topic_aliases if self.topic_aliases else 0
        # [MQTT-3.1.2-21] "If the Server returns a Server Keep Alive on the CONNACK packet, the Client MUST
        # use that value instead of the value it sent as the Keep Alive."
        imposed = named.server_keep_alive
        link.start_keep_alive(self.keep_alive if imposed is None else imposed)
        self._connected = True
        self._continue_session(link, connack.session_present)
        link.answer(PacketType.CONNACK, connack)

    def _continue_session(self, link: ClientLink, present: bool) -> None:
        if present:
            for pubrel in self.session.resume(self.granted.send_maximum):
                link.send(pubrel)
        else:
            # 3.2.2.1.1: with Session Present 0 a Client that has Session State discards it [MQTT-3.2.2-5].
            self.session.discard(ConnectionFailed(
                f"{self._name}: the Server kept no session, nobody knows whether this arrived; send it again"
            ))
            self.session.begin(self.granted.send_maximum)
        self._send_ready(link)

    def _on_auth(self, link: ClientLink, auth: Auth) -> None:
        reply = self._authentication.answer(auth)
        if reply is not None:
            link.send(reply)
        else:
            link.answer(PacketType.AUTH)

    def _on_disconnect(self, link: ClientLink, packet: Disconnect) -> None:
        self.server_disconnect = packet
        reason = packet.properties.reason_string
        link.end(ConnectionFailed(
            f"{self._name}: the Server ended the connection with {reason_name(packet.reason_code)}"
            + (f": {reason}" if reason else ""),
            packet.reason_code,
        ))

    def _on_publish(self, link: ClientLink, packet: Publish) -> None:
        message = link.lengthen(packet)
        is_new, answer = self.session.receive(message)
        if answer is not None:
            link.send(answer)
        if not is_new:
            return
        if self.on_message is None:
            self._inbox.put(message)
        else:
            try:
                self.on_message(message)
            except Exception as error:
                # A lab's mistake in a callback must not cost the connection.
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"on_message of {self._name} failed", "exception": error}
                )
        if self.auto_ack and message.qos:
            link.send(self.session.acknowledge(message))

    def _on_acknowledged(self, link: ClientLink, packet: Puback | Pubrec | Pubcomp) -> None:
        pubrel = self.session.acknowledged(packet)
        if pubrel is not None:
            link.send(pubrel)
        self._send_ready(link)

    def _on_pubrel(self, link: ClientLink, packet: Pubrel) -> None:
        link.send(self.session.release(packet))

    def _on_answer(self, link: ClientLink, packet: Suback | Unsuback) -> None:
        link.answer((packet.packet_type, packet.packet_id), packet.reason_codes)

    def _on_pingresp(self, link: ClientLink, packet: Packet) -> None:
        link.answer((PacketType.PINGRESP, link.pings_answered))

    def _on_second_connack(self, link: ClientLink, packet: Connack) -> None:
        raise ProtocolError("a second CONNACK came")

    def _on_lost(self, link: ClientLink, why: MqttsecError | None) -> None:
        if link is not self._link:
            return
        self._link = None
        self._connected = False
        if not self._session_outlives():
            self.session.discard(why or ConnectionFailed(f"{self._name} has disconnected"), queued=True)
        self._inbox.wake_all()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(why)

    # Small parts ------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.client_id or "the client without Client Identifier"

    def _session_outlives(self) -> bool:
        # 3.1.2.11.2: "If the Session Expiry Interval is absent the value 0 is used. If it is set to 0, or is
        # absent, the Session ends when the Network Connection is closed." 3.1.1 says it by Clean Session.
        return self._session_expiry > 0 if self.protocol >= MQTT_5 else not self._clean

    def _require_link(self) -> ClientLink:
        if self._link is None or not self._connected or self._link.ending:
            raise ConnectionFailed(f"{self._name} is not connected: await connect() first")
        return self._link

    def _send_ready(self, link: ClientLink) -> None:
        if not link.ending:
            for publish in self.session.ready():
                link.send(link.shorten(publish))

    def _check_properties(self, properties: Properties) -> None:
        if self.protocol < MQTT_5 and properties != NO_PROPERTIES:
            raise ConfigurationError("MQTT 3.1.1 has no properties; use protocol=5")

    async def _within(self, answer: asyncio.Future[Any], what: str) -> Any:
        """Await `answer` for at most `timeout`; a timer and no task."""
        if self.timeout is None:
            return await answer
        error = TimedOut(
            f"{self._name}: waited {self.timeout:g} s in vain for {what}; give the client a longer "
            "`timeout`, or look at the trace"
        )
        timer = asyncio.get_running_loop().call_later(self.timeout, settle, answer, error)
        try:
            return await answer
        finally:
            timer.cancel()
