"""The broker: amqtt's `Broker`, made to speak MQTT 5.0 and 3.1.1 side by side.

amqtt keeps configuration, listeners, life cycle, plugins, the table of sessions, the table of
subscriptions and the retained store. What MQTT 5 and speed need is ours: connections, codec,
sessions, routing, QoS, wills and expiry.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from amqtt.contexts import Action
from amqtt.events import BrokerEvents, Events

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.mqtt5 import fanout, wills
from mqttsec.mqtt5.auth import AuthenticationMethod
from mqttsec.mqtt5.connection import Connection
from mqttsec.mqtt5.expect import Expect
from mqttsec.mqtt5.hooks import Extension, Guard, Relay, Service, Watch, ask, tell
from mqttsec.mqtt5.listening import ListeningBroker
from mqttsec.mqtt5.message import Message, forwarded
from mqttsec.mqtt5.outlet import Outlet
from mqttsec.mqtt5.plugins import PacketView, TopicFiltering
from mqttsec.mqtt5.retained_store import RetainedStore
from mqttsec.mqtt5.router import Route, Router, Target
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.mqtt5.settings import NEVER, BrokerSettings
from mqttsec.packets import NO_PROPERTIES, Properties, ReasonCode, check_topic_name
from mqttsec.packets.reason_codes import SUBACK_FAILURE
from mqttsec.packets.topics import check_topic_filter, split_share
from mqttsec.trace.events import EventKind, Trace


class Broker(ListeningBroker):
    """An MQTT 5.0 and 3.1.1 broker for any client.

    Args:
        settings: limits and bounds; the defaults suit labs and tests.
        config: amqtt's broker configuration (listeners, plugins) as a dictionary. Without it one TCP
            listener on 127.0.0.1 takes a free port. Without `plugins`, amqtt's `AnonymousAuthPlugin`
            is used.
        loop: the event loop; by default the running one.
        trace: where events are recorded; None: nowhere, at no cost.
        methods: enhanced authentication methods.
        required_method: refuse clients that do not name this Authentication Method.
        extensions: what takes hold of the broker by its hooks (`mqttsec.mqtt5.hooks`).

    Raises:
        ConfigurationError: a configuration that amqtt does not take.

    """

    def __init__(
        self,
        settings: BrokerSettings | None = None,
        config: dict[str, Any] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        trace: Trace | None = None,
        methods: Iterable[AuthenticationMethod] = (),
        required_method: str | None = None,
        extensions: Iterable[Extension] = (),
    ) -> None:
        super().__init__(settings or BrokerSettings(), config or {}, loop)
        self.methods = {method.method: method for method in methods}
        """Enhanced authentication methods by name; may be added to at any time."""
        self.required_method = required_method
        self.guard: Guard | None = None
        """Permits, if there is one; set it before clients come, or call `router.forget()`."""
        self.watch: Watch | None = None
        """Hears how sessions end."""
        self.filtering = TopicFiltering(self.plugins_manager)
        """What amqtt's topic plugins say."""
        self.router = Router(self._subscriptions, self._may_receive_now)
        """Finds the receivers of a topic."""
        self.dirty: list[Outlet] = []
        """Outlets of the connections that have something to write."""
        self.alone = False
        """True while a packet is acted on that came by itself: nothing waits behind it."""
        events = self.plugins_manager._event_plugin_callbacks
        self.hears_messages = (
            BrokerEvents.MESSAGE_RECEIVED in events or BrokerEvents.MESSAGE_BROADCAST in events
        )
        """True when a plugin listens to messages."""
        self._hears_packets = "mqtt_packet_received" in events or "mqtt_packet_sent" in events
        self.trace = trace
        self.now: Callable[[], float] = self._loop.time
        """Loop time in seconds: real or virtual."""
        self.batches = 0
        """Above 0 while packets are handled: what is pushed leaves at the end, in one write a connection."""
        self._flush_scheduled = False
        self._connection_count = 0
        self._idle = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._retained = RetainedStore(
            self._retained_messages, self.settings.max_retained_messages, self.settings.max_retained_bytes
        )
        self._random: random.Random = (
            random.SystemRandom() if self.settings.seed is None else random.Random(self.settings.seed)
        )
        for extension in extensions:
            extension.attach(self)

    # Life cycle --------------------------------------------------------------------------------

    async def shutdown(self) -> None:
        """Close every connection with 0x8B, or 0x9C where there is a Server Reference; then the listeners."""
        if self.transitions.state != "started":
            return
        self._stopping = True
        self._stop_listening()
        for connection in list(self.connections):
            connection.dismiss()
            connection.close()
        if self.connections:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), self.settings.close_timeout)
            except (asyncio.TimeoutError, TimeoutError):
                for connection in list(self.connections):
                    connection.abort()
                await asyncio.sleep(0)
        for session, _ in list(self._sessions.values()):
            session.cancel_timers()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await super().shutdown()

    async def _broadcast_loop(self) -> None:
        # amqtt's broadcast queue is not used: messages are delivered where they arrive.
        await self._broadcast_shutdown_waiter

    async def _session_monitor(self) -> None:
        # amqtt looks every second for sessions that ran out; ours have timers of their own.
        await asyncio.Event().wait()

    # Connections -------------------------------------------------------------------------------

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""
        handle: asyncio.TimerHandle = self._loop.call_later(delay, callback, *args)
        return handle

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call back in the next turn of the loop."""
        self._loop.call_soon(callback, *args)

    def next_connection_number(self) -> int:
        """1, 2, 3, ..."""
        self._connection_count += 1
        return self._connection_count

    def new_client_id(self) -> str:
        """An Assigned Client Identifier that is in nobody's use."""
        while True:
            client_id = f"auto-{self._random.getrandbits(128):032x}"
            if client_id not in self._sessions:
                return client_id

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self._open_by_listener[connection.listener] -= 1
        self.observe(EventKind.CLOSED, connection)
        if not self.connections:
            self._idle.set()

    def begin_batch(self) -> None:
        """What is pushed from now on leaves at the end of the batch, in one write a connection."""
        self.batches += 1

    def end_batch(self) -> None:
        """The batch is over: write."""
        self.batches -= 1
        if not self.batches and self.dirty:
            self.flush()

    def schedule_flush(self) -> None:
        """Outside a batch: write in the next turn of the loop."""
        if not self.batches and self.dirty and not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Let every connection write what waits."""
        self._flush_scheduled = False
        while self.dirty:
            outlets, self.dirty = self.dirty, []
            for outlet in outlets:
                outlet.flush()

    # Sessions ----------------------------------------------------------------------------------

    def session(self, client_id: str) -> Session | None:
        """The session of a client, connected or kept."""
        row = self._sessions.get(client_id)
        return None if row is None else cast(Session, row[0])

    def enter(self, session: Session, connection: Connection) -> None:
        """A session has a connection now."""
        session.transitions.connect()
        session._on_enter_connected()
        self._sessions[session.client_id] = (session, connection)
        if session.subscriptions:
            self.router.forget()

    def left(self, session: Session, clean: bool) -> None:
        """A session lost its connection: its Will Message (3.1.2.5) and its expiry (3.1.2.11.2)."""
        session.transitions.disconnect()
        session._on_enter_disconnected()
        if session.subscriptions:
            self.router.forget()
        self.fire(BrokerEvents.CLIENT_DISCONNECTED, client_id=session.client_id, client_session=session)
        if self.watch is not None and not self._stopping:
            tell(self.watch.left, session)
        if clean or self._stopping:
            session.will = None
        wills.fall_due(self, session)
        if not session.expiry_interval:
            self.end_session(session)
        elif session.expiry_interval != NEVER:
            session.expiry_timer = self.call_later(session.expiry_interval, self.end_session, session)

    def end_session(self, session: Session) -> None:
        """Discard a session with its subscriptions and messages; a Will that still waits goes out now."""
        waiting = session.will_timer is not None
        session.cancel_timers()
        if waiting:
            wills.send(self, session)
        if self.watch is not None and not self._stopping:
            tell(self.watch.ended, session)
        for topic_filter in list(session.subscriptions):
            self.router.unsubscribe(session, topic_filter)
        session.clear_queues()
        if self.session(session.client_id) is session:
            del self._sessions[session.client_id]

    async def _del_all_subscriptions(self, session: Session) -> None:
        for topic_filter in list(session.subscriptions):
            self.router.unsubscribe(session, topic_filter)

    def create_offline_session(self, client_id: str) -> tuple[Connection, Session]:
        """The session of a client that has not connected yet, for a plugin (amqtt's own way in)."""
        connection = Connection(self, next(iter(self.listeners_config)))
        connection.expects = Expect.NOTHING
        session = Session(client_id)
        session.clean_session = False
        session.expiry_interval = NEVER
        session.transitions.disconnect()
        return connection, session

    async def add_subscription(self, subscription: tuple[str, int], session: Any) -> int:
        """Subscribe a session, for a plugin (amqtt's own way in). Returns the granted QoS, or 0x80."""
        topic_filter, qos = subscription
        try:
            plain = split_share(check_topic_filter(topic_filter))[1]
        except MalformedPacketError:
            return SUBACK_FAILURE
        if not await self.filtering.ask(session, plain, Action.SUBSCRIBE):
            return SUBACK_FAILURE
        row = Subscription(topic_filter, session, min(qos, self.settings.maximum_qos))
        self.router.subscribe(row)
        return row.qos

    # Messages ----------------------------------------------------------------------------------

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
        publisher: str = "",
    ) -> bool:
        """Publish a message of the broker's own. False when nobody is subscribed.

        Must be called on the broker's loop. Where plugins have to be waited for, True only says that there
        are subscriptions. Raises `MalformedPacketError` for a topic with wildcards, `ConfigurationError` for
        a QoS that there is not.
        """
        if not 0 <= qos <= 2:
            raise ConfigurationError(f"QoS {qos} cannot be; choose 0, 1 or 2")
        message = Message(
            check_topic_name(topic), payload, qos, retain, forwarded(properties), publisher, self.now()
        )
        if self.filtering.immediate:
            return self.deliver(message)
        self.in_background(self.deliver_slowly(message))
        return not self.router.route(message.topic, message.topic_bytes).empty

    def deliver(self, message: Message) -> bool:
        """Retain a message if it asks for it, and deliver it. False when nobody is subscribed."""
        if message.retain and self.settings.retain_available:
            self.retain(message)
        return fanout.publish(self, message, self.router.route(message.topic, message.topic_bytes))

    async def deliver_slowly(self, message: Message) -> None:
        """`deliver`, with plugins that have to be waited for."""
        if message.retain and self.settings.retain_available:
            self.retain(message)
        route = await self.permitted_route(self.router.route(message.topic, message.topic_bytes))
        fanout.publish(self, message, route)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that waits for plugins; given up when the broker shuts down."""
        task = self._loop.create_task(work)
        # asyncio itself holds tasks only weakly.
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _broadcast_message(
        self, session: Any, topic: str | None, data: bytes | bytearray | None, force_qos: int | None = None
    ) -> None:
        # amqtt's plugins publish through this ($SYS, for example).
        message = Message(
            topic or "", bytes(data or b""), force_qos or 0, False, forwarded(NO_PROPERTIES), "", self.now()
        )
        await self.deliver_slowly(message)

    def retain(self, message: Message) -> int:
        """Keep a message for later subscribers; an empty payload removes it (3.3.1.3).

        Returns a Reason Code.
        """
        if message.payload:
            row = self._retained.keep(message, self.now())
            if row is None:
                return ReasonCode.QUOTA_EXCEEDED
        else:
            # [MQTT-3.3.1-6] a zero-byte payload removes; [MQTT-3.3.1-7] and is not stored itself.
            row = self._retained.remove(message.topic)
            if row is None:
                return ReasonCode.SUCCESS
            row.data = b""
        self.fire(BrokerEvents.RETAINED_MESSAGE, client_id=None, retained_message=row)
        return ReasonCode.SUCCESS

    async def retain_message(
        self,
        source_session: Any,
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Keep a message of a plugin (amqtt's own way in)."""
        if topic_name is not None:
            self.retain(
                Message(
                    topic_name, bytes(data or b""), qos or 0, True, forwarded(NO_PROPERTIES), "", self.now()
                )
            )

    def retained(self, topic_filter: str) -> list[Message]:
        """Retained messages that match a filter, without those that have expired."""
        return self._retained.matching(topic_filter, self.now())

    def is_retained(self, message: Message) -> bool:
        """True while this very message is the retained one of its topic."""
        return self._retained.holds(message)

    def serve(self, topic_filter: str, service: Service) -> None:
        """Hand what clients publish under `topic_filter` to `service` in place of routing it.

        A channel does not see such messages; a guard is asked. Raises `ConfigurationError` for no filter.
        """
        try:
            self.router.serve(check_topic_filter(topic_filter), service)
        except MalformedPacketError as error:
            raise ConfigurationError(str(error)) from None

    def relay(self, prefix: str, relay: Relay) -> None:
        """Let `relay` have all that clients publish and subscribe to under the topic levels `prefix`.

        A guard is asked, a channel does not see such messages. Raises `ConfigurationError` for no topic.
        """
        try:
            self.router.relay(check_topic_name(prefix), relay)
        except MalformedPacketError as error:
            raise ConfigurationError(str(error)) from None

    def may_receive(self, session: Session, topic: str) -> bool:
        """What the guard says of a receiver."""
        return self.guard is None or ask(self.guard.receive, session, topic) == 1

    def _may_receive_now(self, session: Session, topic: str) -> bool:
        if not self.may_receive(session, topic):
            return False
        # Plugins that wait are asked for every message instead (`permitted_route`).
        return not self.filtering.immediate or self.filtering.permits(session, topic, Action.RECEIVE)

    async def permitted_route(self, route: Route) -> Route:
        """A route without the sessions that plugins do not allow to receive its topic."""
        if not self.filtering.enabled or self.filtering.immediate:
            return route

        async def may(session: Session) -> bool:
            return await self.filtering.ask(session, route.topic, Action.RECEIVE)

        targets: list[Target] = [target for target in route.targets if await may(target.session)]
        shared = []
        for topic_filter, rows in route.shared:
            allowed = [row for row in rows if await may(row.session)]
            if allowed:
                shared.append((topic_filter, allowed))
        return Route(route.topic, targets, shared, route.service)

    # Watching ----------------------------------------------------------------------------------

    @property
    def trace(self) -> Trace | None:
        """Where events are recorded; may be set or taken away at any time."""
        return self._trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._trace = trace
        self.observed = trace is not None or self._hears_packets
        """True when a trace or a plugin wants to see packets."""

    def observe(self, kind: EventKind, connection: Connection, packet: bytes = b"", detail: str = "") -> None:
        """Record an event of one connection in the trace."""
        if self._trace is not None:
            self._trace.record(
                kind,
                self.settings.name,
                connection.peer,
                packet=packet,
                protocol=connection.protocol,
                connection=connection.number,
                detail=detail,
                protected=connection.protected,
            )

    def fire(self, event: Events, **facts: Any) -> None:
        """Tell amqtt's plugins, without waiting for them."""
        if event in self.plugins_manager._event_plugin_callbacks:
            self._loop.create_task(self.plugins_manager.fire_event(event, **facts))

    def fire_packet_event(self, event: Events, frame: bytes, session: Session | None) -> None:
        """Tell amqtt's plugins of a packet."""
        if self._hears_packets:
            self.fire(event, packet=PacketView(frame), session=session)
