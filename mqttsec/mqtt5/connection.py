"""One network connection of the broker: bytes in, packets out, and how it ends.

An `asyncio.Protocol`, so the same class serves TCP, TLS, WebSocket and in-memory links, and a subclass
of amqtt's `BrokerProtocolHandler`, so amqtt's broker can stop it. There is no task and no future
per packet: incoming frames are dispatched by plain calls, outgoing ones are collected and leave in
one write when the batch is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from amqtt.events import MQTTEvents
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import acknowledging, connecting, inbound
from mqttsec.mqtt5.auth import AuthConversation
from mqttsec.mqtt5.fanout import through_channel
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.keep_alive import KeepAlive
from mqttsec.mqtt5.message import Form, Message
from mqttsec.mqtt5.outbox import Delivery
from mqttsec.mqtt5.replies import LARGEST_PACKET, because, encode_reply
from mqttsec.mqtt5.retained import RetainedFlow
from mqttsec.mqtt5.session import Session
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


class Expect(enum.Enum):
    """What the broker expects next on a connection."""

    CONNECT = "a CONNECT"
    AUTHENTICATION = "AUTH packets, or that a plugin decides"
    PACKETS = "anything that a connected client may send"
    NOTHING = "that the client closes"


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
        self.out: list[bytes] = []
        """Bytes that leave in the next write."""
        self.protected = False
        """True under TLS: a listener on the network learns only sizes and times."""
        self._has_socket = False
        self.direct = -1
        """The socket's file descriptor while nothing stands in the way of writing to it directly, else -1."""
        self.dirty = False
        """True while this connection stands in the broker's list of those that have to write."""
        self.topics_by_alias: dict[int, bytes] = {}
        """Topic Aliases that the client set."""
        self.maximum_packet_size = LARGEST_PACKET
        """Largest packet that the client takes, in bytes."""
        self.problem_information = True
        """False: the client wants no Reason Strings and User Properties on most packets."""
        self.alias_limit = 0
        """How many Topic Aliases the client takes."""
        self.retained = RetainedFlow(self)
        """Retained messages that subscriptions asked for."""
        self._aliases: dict[bytes, int] = {}
        self._splitter = Splitter(broker.settings.maximum_packet_size)
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.Task[None] | None = None
        self._paused = False
        self._backlog = bytearray()
        self._ended = False
        self._keep_alive = KeepAlive(self)
        self._timer: asyncio.TimerHandle | None = None
        self._clean_end = False
        self._opened = False
        self._name = ""

    # What a session's copies depend on ---------------------------------------------------------

    @property
    def needs_single_copies(self) -> bool:
        """True when this client cannot share its bytes with others."""
        return self.alias_limit > 0 or self.maximum_packet_size < LARGEST_PACKET

    def encode_qos_0(self, message: Message, form: Form) -> bytes | None:
        """A QoS 0 PUBLISH for this client alone, or None where it is too large for it."""
        session = self.session
        changed = message if session is None else through_channel(session, message)
        if changed is None:
            return None
        now = self.broker.now()
        alias, known = self._alias(changed.topic_bytes)
        topic = b"" if known else None
        frame = changed.parts_after(form, now, topic, alias)[0]
        if len(frame) > self.maximum_packet_size:
            return None
        if alias is not None and not known:
            self._aliases[changed.topic_bytes] = alias
        return frame

    def _alias(self, topic: bytes) -> tuple[int | None, bool]:
        """(Topic Alias to send, whether the client knows it already)."""
        if not self.alias_limit:
            return None, False
        known = self._aliases.get(topic)
        if known is not None:
            return known, True
        # [MQTT-3.1.2-26] "The Server MUST NOT send a Topic Alias in a PUBLISH packet to the Client greater
        # than Topic Alias Maximum."
        return (len(self._aliases) + 1, False) if len(self._aliases) < self.alias_limit else (None, False)

    def encode_delivery(self, delivery: Delivery) -> tuple[bytes, bytes] | None:
        """A QoS 1 or 2 PUBLISH for this client: the bytes around its Packet Identifier, or None."""
        session = self.session
        message = delivery.message if session is None else through_channel(session, delivery.message)
        if message is None:
            return None
        head, tail = message.parts_after(delivery.form, self.broker.now())
        if len(head) + 2 + len(tail) > self.maximum_packet_size:
            return None
        return head, tail

    def acknowledge(self, qos: int, packet_id: int, reason_code: int) -> None:
        """Answer a PUBLISH of QoS 1 or 2, some time after it came."""
        packet_type = PacketType.PUBACK if qos == 1 else PacketType.PUBREC
        self.push(acknowledging.answer_bytes(self, packet_type, packet_id, reason_code))
        self.broker.schedule_flush()

    def pump(self) -> None:
        """Send what the session's outbox may send now."""
        if self.session is not None and self.expects is Expect.PACKETS:
            self.session.outbox.pump(self.push, self.encode_delivery, self.broker.now())
            self.retained.go_on()

    # Bytes out ---------------------------------------------------------------------------------

    def write_now(self, data: bytes) -> None:
        """Like `push`, but in this very moment, for a message that came alone.

        The first of many subscribers then does not wait until the list of all is made. The system call is
        made here: a transport would collect as well. Whatever stands in the way (bytes that wait before
        these, TLS, a link without a socket) makes it a `push`.
        """
        transport = self.transport
        if not self._has_socket:
            self.push(data)
            return
        # A closing transport may have closed the socket: its number may be another client's by now.
        if self.direct < 0 or self.out or transport is None or transport.is_closing():
            self.direct = -1
            if not self._may_write_directly():
                self.push(data)
                return
        try:
            sent = os.write(self.direct, data)
        except OSError:
            # Full, or broken: the transport will find out which, and does what has to be done.
            sent = 0
        if sent < len(data):
            self.push(data[sent:])

    def _may_write_directly(self) -> bool:
        """Look whether nothing stands in the way any more, and remember it in `direct`."""
        transport = self.transport
        if transport is None or self.out or self._paused or transport.is_closing():
            return False
        if transport.get_write_buffer_size():
            return False
        self.direct = transport.get_extra_info("socket").fileno()
        return self.direct >= 0

    def push(self, data: bytes) -> None:
        """Let `data` leave with the next write."""
        self.out.append(data)
        if not self.dirty:
            self.dirty = True
            self.broker.dirty.append(self)

    def send(self, packet: Packet) -> None:
        """Let a packet leave with the next write."""
        frame = encode_reply(packet, self.protocol, self.maximum_packet_size, self.problem_information)
        if frame is None:
            self.abandon(f"{packet.packet_type.name} is larger than the client takes")
            return
        self.push(frame)
        self.broker.schedule_flush()

    def flush(self) -> None:
        """Write what is waiting, in one go."""
        self.dirty = False
        out, transport = self.out, self.transport
        if not out:
            return
        if transport is None or self._ended:
            out.clear()
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        if self._paused:
            self._let_wait(data, transport)
        else:
            self._write(data, transport)

    def _write(self, data: bytes, transport: asyncio.Transport) -> None:
        if self.broker.observed:
            self._observe_sent(data)
        # The transport may keep a part: directly written bytes would overtake it.
        self.direct = -1
        transport.write(data)

    def _let_wait(self, data: bytes, transport: asyncio.Transport) -> None:
        self._backlog += data
        if transport.get_write_buffer_size() + len(self._backlog) > self.broker.settings.max_write_buffer:
            self._backlog.clear()
            self.end(ReasonCode.QUOTA_EXCEEDED, "you read more slowly than messages come")

    def _observe_sent(self, data: bytes) -> None:
        for frame in Splitter(LARGEST_PACKET).feed(data):
            self.broker.observe(EventKind.SENT, self, frame)
            self.broker.fire_packet_event(MQTTEvents.PACKET_SENT, frame, self.session)

    def pause_writing(self) -> None:
        """The network does not take more for now."""
        self.direct = -1
        self._paused = True

    def resume_writing(self) -> None:
        """The network takes bytes again."""
        self._paused = False
        if self._backlog and self.transport is not None and not self._ended:
            data = bytes(self._backlog)
            self._backlog.clear()
            self._write(data, self.transport)
        self.retained.go_on()

    @property
    def congested(self) -> bool:
        """True while the network takes no more, and once the connection has ended."""
        return self._paused or self._ended

    # Bytes in ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The network connection exists."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=256 * 1024)
        self.protected = self.ssl_object() is not None
        plain = transport.get_extra_info("socket") is not None and not self.protected
        self._has_socket = plain and os.name == "posix"
        self._keep_alive.heard = self.broker.now()
        if not self.broker.opened(self):
            self.transport.abort()
            return
        self._timer = self.broker.call_later(self.broker.settings.connect_timeout, self._not_in_time)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._ended:
            # Between our last packet and the client's end: not even kept.
            return
        broker = self.broker
        self._keep_alive.heard = broker.now()
        broker.begin_batch()
        try:
            if (
                self.session is not None
                and self._task is None
                and not broker.observed
                and not self._splitter.pending
            ):
                # (A PUBLISH in front, as most bytes of a publisher begin, is no acknowledgement.)
                taken = 0 if data[:1] < b"\x40" else acknowledging.take_short(self, self.session, data)
                if taken:
                    data = data[taken:]
                    if not data:
                        return
            for frame in self._splitter.iterate(data):
                broker.alone = len(frame) == len(data) and not broker.observed
                if self.expects is Expect.NOTHING:
                    break
                if broker.observed:
                    self._observe_received(frame)
                if self._task is None or inbound.is_urgent(self, frame):
                    inbound.handle(self, frame)
                else:
                    self._hold(frame)
        except ProtocolError as error:
            self.refuse(error)
        finally:
            broker.alone = False
            broker.end_batch()

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

    def _hold(self, frame: bytes) -> None:
        self._held.append(frame)
        self._held_bytes += len(frame)
        # 3.1.4: "Clients need not wait for a CONNACK"; what they send before it has to wait, within bounds.
        if self._held_bytes > self.broker.settings.maximum_packet_size:
            raise ProtocolError("too much was sent before the answer", ReasonCode.QUOTA_EXCEEDED)

    def wait_for(
        self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any, reading: bool = False
    ) -> None:
        """Do `work(*args)`, which may wait; packets that come meanwhile are held back, in order.

        With `reading` the network is still read, for the AUTH packets of an authentication.
        """
        if self.transport is not None and not reading:
            self.transport.pause_reading()
        self._task = self._loop.create_task(self._finish(work, *args))

    def meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that may wait while the client's packets go on being handled (re-authentication)."""
        self._again = self._loop.create_task(work)

    @property
    def is_busy(self) -> bool:
        """True while the broker waits for others on the client's behalf."""
        return self._task is not None

    @property
    def authenticates_again(self) -> bool:
        """True while a re-authentication is under way."""
        return self._again is not None and not self._again.done()

    async def _finish(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        try:
            await work(*args)
        except ProtocolError as error:
            self.refuse(error)
        except Exception as error:
            # Only what belongs to others waits, and theirs is the fault: a plugin, for example.
            report_fault("what a packet waited for", self.peer, error)
            self.refuse(ProtocolError("the broker failed", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR))
        finally:
            self._task = None
        self.broker.begin_batch()
        try:
            while self._held and self._task is None and self.expects is not Expect.NOTHING:
                frame = self._held.popleft()
                self._held_bytes -= len(frame)
                inbound.handle(self, frame)
        except ProtocolError as error:
            self.refuse(error)
        finally:
            self.broker.end_batch()
        if self._task is None and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

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
        self._held.clear()
        self._stop_watching()
        self._give_up_tasks()
        # The last packets go out behind what the network has not taken yet.
        self.resume_writing()
        self.flush()
        self._ended = True
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
        self.direct = -1
        self.cancel_timer()
        self._stop_watching()
        self.expects = Expect.NOTHING
        self.out.clear()
        self._backlog.clear()
        self._held.clear()
        self._give_up_tasks()
        self._leave_session()
        if self.transport is not None:
            # Python 3.10 warns of a TLS transport that was only closed by the other side.
            self.transport.close()
        self.transport = None
        self.broker.closed(self)

    def _give_up_tasks(self) -> None:
        # A task may be what closes the connection; that one goes to its end.
        for task in (self._task, self._again):
            if task is not None and task is not asyncio.current_task(self._loop):
                task.cancel()

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
