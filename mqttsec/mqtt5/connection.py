"""One network connection of the broker: bytes in, packets out, and how it ends.

An `asyncio.Protocol`, so the same class serves TCP, TLS, WebSocket and in-memory links, and a subclass
of amqtt's `BrokerProtocolHandler`, so amqtt's broker can stop it. There is no task and no future
per packet: incoming frames are dispatched by plain calls, outgoing ones are collected and leave in
one write when the batch is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import acknowledging, connecting, express, inbound
from mqttsec.mqtt5.auth import AuthConversation
from mqttsec.mqtt5.copies import Copies
from mqttsec.mqtt5.expect import Expect
from mqttsec.mqtt5.express import Lane
from mqttsec.mqtt5.keep_alive import KeepAlive
from mqttsec.mqtt5.outlet import Outlet
from mqttsec.mqtt5.replies import because, encode_reply
from mqttsec.mqtt5.retained import RetainedFlow
from mqttsec.mqtt5.session import Session
from mqttsec.mqtt5.waiting import Waiting
from mqttsec.packets import (
    MQTT_5,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    ReasonCode,
    Splitter,
    decode,
)
from mqttsec.packets.reason_codes import SERVER_DISCONNECT_CODES
from mqttsec.trace.events import EventKind

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker


class Connection(BrokerProtocolHandler, asyncio.Protocol):  # type: ignore[misc, unused-ignore]
    """One client's network connection."""

    session: Session | None  # type: ignore[assignment, unused-ignore]

    def __init__(self, broker: Broker, listener: str) -> None:
        super().__init__(broker.plugins_manager, loop=broker._loop)
        self.broker = broker
        self.listener = listener
        """Name of the listener that it came by."""
        self.number = broker.next_connection_number()
        """1, 2, 3, ... in the order of opening."""
        self.expects = Expect.CONNECT
        self.protocol = MQTT_5
        """Protocol Version, known from the CONNECT on."""
        self.connect: Connect | None = None
        """The CONNECT."""
        self.conversation: AuthConversation | None = None
        """The enhanced authentication that is under way."""
        self.transport: asyncio.Transport | None = None
        self.outlet = Outlet(broker, self)
        """Bytes out."""
        self.copies = Copies(self)
        """What messages look like for this client."""
        self.waiting = Waiting(self, broker._loop)
        """What the broker waits for on the client's behalf."""
        self.protected = False
        """True under TLS: a listener on the network learns only sizes and times."""
        self.topics_by_alias: dict[int, bytes] = {}
        """Topic Aliases that the client set."""
        self.retained = RetainedFlow(self)
        """Retained messages that subscriptions asked for."""
        self.lanes: dict[bytes, Lane] = {}
        """Ways that messages of the client went before, by Topic Name; see `express`."""
        self._splitter = Splitter(broker.settings.maximum_packet_size)
        self._keep_alive = KeepAlive(self)
        self._timer: asyncio.TimerHandle | None = None
        self._clean_end = False
        self._opened = False
        self._name = ""

    def acknowledge(self, qos: int, packet_id: int, reason_code: int) -> None:
        """Answer a PUBLISH of QoS 1 or 2, some time after it came."""
        packet_type = PacketType.PUBACK if qos == 1 else PacketType.PUBREC
        self.outlet.push(acknowledging.answer_bytes(self, packet_type, packet_id, reason_code))
        self.broker.schedule_flush()

    def pump(self) -> None:
        """Send what the session's outbox may send now."""
        if self.session is not None and self.expects is Expect.PACKETS:
            self.session.outbox.pump(self.outlet.push, self.copies.owed, self.broker.now())
            self.retained.go_on()

    def send(self, packet: Packet) -> None:
        """Let a packet leave with the next write."""
        copies = self.copies
        frame = encode_reply(packet, self.protocol, copies.maximum_packet_size, copies.problem_information)
        if frame is None:
            self.abandon(f"{packet.packet_type.name} is larger than the client takes")
            return
        self.outlet.push(frame)
        self.broker.schedule_flush()

    def pause_writing(self) -> None:
        """The network does not take more for now."""
        self.outlet.pause()

    def resume_writing(self) -> None:
        """The network takes bytes again."""
        self.outlet.resume()
        self.retained.go_on()

    # Bytes in ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The network connection exists."""
        self.transport = cast(asyncio.Transport, transport)
        self.protected = self.ssl_object() is not None
        self.outlet.open(self.transport, self.protected)
        self._keep_alive.heard = self.broker.now()
        if not self.broker.opened(self):
            self.transport.abort()
            return
        self._timer = self.broker.call_later(self.broker.settings.connect_timeout, self._not_in_time)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.outlet.ended:
            # Between our last packet and the client's end: not even kept.
            return
        broker, session = self.broker, self.session
        self._keep_alive.heard = broker.now()
        broker.batches += 1
        try:
            if session is None or self.waiting.task is not None or broker.observed or self._splitter.rest:
                self._take(data)
            elif not express.take(self, session, data):
                # (A PUBLISH in front, as most bytes of a publisher begin, is no acknowledgement.)
                taken = 0 if data[:1] < b"\x40" else acknowledging.take_short(self, session, data)
                if taken < len(data):
                    broker.alone = not taken and _is_one_packet(data)
                    last = self._take(data[taken:] if taken else data)
                    if len(last) == len(data) and self.session is session:
                        express.learn(self, session, last)
        except ProtocolError as error:
            self.refuse(error)
        finally:
            broker.batches -= 1
            broker.alone = False
            if broker.dirty and not broker.batches:
                broker.flush()

    def _take(self, data: bytes) -> bytes:
        """Act on the packets that `data` completes; returns the last of them."""
        frame = b""
        for frame in self._splitter.iterate(data):
            if self.expects is Expect.NOTHING:
                break
            if self.broker.observed:
                self._observe_received(frame)
            if self.waiting.task is None or inbound.is_urgent(self, frame):
                inbound.handle(self, frame)
            else:
                self.waiting.hold(frame)
        return frame

    def _observe_received(self, frame: bytes) -> None:
        if not self._opened:
            # The client's name is known once its CONNECT is read; only then does the trace begin.
            self._opened = True
            with contextlib.suppress(ProtocolError):
                packet = decode(frame)
                if isinstance(packet, Connect):
                    self._name, self.protocol = packet.client_id, packet.protocol
            self.broker.observe(EventKind.OPENED, self)
        self.broker.observe(EventKind.RECEIVED, self, frame)

    def wait_for(
        self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any, reading: bool = False
    ) -> None:
        """Do `work(*args)`, which may wait; packets that come meanwhile are held back, in order.

        With `reading` the network is still read, for the AUTH packets of an authentication.
        """
        if self.transport is not None and not reading:
            self.transport.pause_reading()
        self.waiting.start(work, *args)

    def meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that may wait while the client's packets go on being handled (re-authentication)."""
        self.waiting.start_beside(work)

    @property
    def is_busy(self) -> bool:
        """True while the broker waits for others on the client's behalf."""
        return self.waiting.task is not None

    @property
    def authenticates_again(self) -> bool:
        """True while a re-authentication is under way."""
        return self.waiting.goes_on_beside

    # Keep alive --------------------------------------------------------------------------------

    def accepted(self, keep_alive: int) -> None:
        """The client is connected; watch over its Keep Alive of so many seconds."""
        self.cancel_timer()
        self.expects = Expect.PACKETS
        self._keep_alive.start(keep_alive)

    def _not_in_time(self) -> None:
        if self.expects is Expect.AUTHENTICATION:
            # The plugins have not decided; that is not the client's fault.
            self.refuse(ProtocolError("nobody decided in time", ReasonCode.SERVER_UNAVAILABLE))
            return
        self.broker.observe(EventKind.REJECTED, self, detail="no CONNECT within the time limit")
        self.abort()

    def cancel_timer(self) -> None:
        """The CONNECT came."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def address(self) -> tuple[str | None, int | None]:
        """(host, port) of the client, as far as the transport knows."""
        peer = None if self.transport is None else self.transport.get_extra_info("peername")
        if isinstance(peer, (tuple, list)) and len(peer) >= 2:
            return str(peer[0]), int(peer[1])
        return None, None

    def ssl_object(self) -> Any:
        """TLS details of the connection (`ssl.SSLObject`), or None."""
        return None if self.transport is None else self.transport.get_extra_info("ssl_object")

    @property
    def peer(self) -> str:
        """The client's name in traces: its Client Identifier, or a number before it has one."""
        return self._name or (self.connect and self.connect.client_id) or f"client-{self.number}"

    # The end -----------------------------------------------------------------------------------

    def refuse(self, error: ProtocolError) -> None:
        """A packet broke a rule: say so and close (MQTT 5, 4.13)."""
        if self.expects in (Expect.CONNECT, Expect.AUTHENTICATION):
            connecting.refuse(self, error.reason_code, str(error))
        else:
            self.end(error.reason_code, str(error))

    def end(self, reason_code: int, reason: str, server_reference: str | None = None) -> None:
        """Close with DISCONNECT and a Reason Code (MQTT 5); the Will Message goes out."""
        if self.expects is Expect.NOTHING:
            return
        if reason_code not in SERVER_DISCONNECT_CODES:
            # A code that only CONNACK knows, such as 0x84 for a second CONNECT of another version.
            reason_code = ReasonCode.PROTOCOL_ERROR
        self.broker.observe(EventKind.REJECTED, self, detail=f"{reason} (0x{reason_code:02X})")
        # [MQTT-3.14.0-1] a Server sends DISCONNECT only after a CONNACK below 0x80; 3.1.1 knows none.
        if self.protocol >= MQTT_5 and self.expects is Expect.PACKETS:
            self.send(Disconnect(reason_code, because(reason, server_reference)))
        self.close()

    def abandon(self, reason: str) -> None:
        """Close without a word, where the standard has no packet to say it with."""
        self.broker.observe(EventKind.REJECTED, self, detail=reason)
        self.close()

    def ended_by_client(self) -> None:
        """The client said DISCONNECT 0x00: its Will Message is discarded [MQTT-3.1.2-8]."""
        self._clean_end = True
        self.close()

    def close(self) -> None:
        """Stop listening, let the last packets leave, then close.

        Closing at once would let the kernel answer unread bytes with a reset, which destroys what
        was just sent; so only the sending side is closed, and the rest after `close_timeout`.
        """
        if self.expects is Expect.NOTHING:
            return
        self.expects = Expect.NOTHING
        self._stop_watching()
        self.waiting.give_up()
        self.outlet.finish()
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()
            if transport.can_write_eof():
                # The client may have cut the connection without our having heard of it yet.
                with contextlib.suppress(OSError):
                    transport.write_eof()
            else:
                transport.close()
            self._timer = self.broker.call_later(self.broker.settings.close_timeout, self.abort)
        self._leave_session()

    def abort(self) -> None:
        """Cut the network connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> bool | None:
        """The client closed its sending side: close ours."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The network connection is gone."""
        self.cancel_timer()
        self._stop_watching()
        self.expects = Expect.NOTHING
        self.outlet.lose()
        self.broker.router.drop_lanes(self)
        self.waiting.give_up()
        self._leave_session()
        if self.transport is not None:
            # Python 3.10 warns of a TLS transport that was only closed by the other side.
            self.transport.close()
        self.transport = None
        self.broker.closed(self)

    def _stop_watching(self) -> None:
        self.cancel_timer()
        self._keep_alive.stop()

    def _leave_session(self) -> None:
        session, self.session = self.session, None
        if session is not None and session.connection is self:
            session.connection = None
            self.retained.keep_for(session)
            self.broker.left(session, clean=self._clean_end)

    async def stop(self) -> None:
        """Close (amqtt's broker calls this when it shuts down)."""
        self.dismiss()

    def dismiss(self) -> None:
        """The broker shuts down: close, and say where to go if there is such a place."""
        elsewhere = self.broker.settings.server_reference
        code = ReasonCode.SERVER_SHUTTING_DOWN if elsewhere is None else ReasonCode.USE_ANOTHER_SERVER
        self.end(code, "the broker shuts down", elsewhere)


def _is_one_packet(data: bytes) -> bool:
    """True where `data` is as long as the Fixed Header at its beginning says (2.1.4)."""
    length, at = 0, 1
    for shift in (0, 7, 14, 21):
        if at >= len(data):
            return False
        length |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return at + length == len(data)
    return False
