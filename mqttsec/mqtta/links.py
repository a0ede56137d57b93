"""Client sessions of a bridge broker at other brokers: kept open, resumed after a break, given up in the end.

Ordinary MQTT: a `Link` is a `LightClient` that connects again with the same session as long as the other
broker is there. What is under way then is sent again by the rules of QoS 1 and 2; when the broker is gone,
everything comes back as an error, and the bridge broker draws another way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from mqttsec.errors import ConnectionFailed, MqttsecError, Refused
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.dialing import Dialer
from mqttsec.mqtta.notices import At
from mqttsec.packets import (
    MQTT_5,
    NO_PROPERTIES,
    Properties,
    Publish,
    ReasonCode,
    SubscribeFilter,
)

Finished = Callable[[int, bool], None]
"""Called once with a Reason Code, and whether the other broker said it (False: it is gone)."""

_FIRST_PAUSE = 0.05
"""Seconds until a broken connection is tried again the second time; doubled each time."""
_SHORT = 1.0
"""Seconds; a connection that did not last so long may have been taken from another one, or by another one."""


class Link:
    """One session at another broker.

    Args:
        dialer: how to get there.
        at: where.
        client_id: Client Identifier there.
        user_property: User Properties of the CONNECT.
        on_message: gets every message, which has to be acknowledged.
        on_reset: called when the broker came back without the session: subscriptions there are gone.
        on_gone: called once when it is given up, with why.
        session_expiry: seconds that the session outlives a connection.
        resume: take over a session that is there, with what waits in it.
        public: a public broker, which may speak MQTT 3.1.1 only.
        endless: never give up; for subscriptions at a public broker, which may come back.

    """

    def __init__(
        self,
        dialer: Dialer,
        at: At,
        client_id: str,
        *,
        user_property: tuple[tuple[str, str], ...] = (),
        on_message: Callable[[Link, Publish], None] | None = None,
        on_reset: Callable[[Link], None] | None = None,
        on_gone: Callable[[Link, MqttsecError], None] | None = None,
        session_expiry: int = 60,
        resume: bool = False,
        public: bool = False,
        endless: bool = False,
    ) -> None:
        self.at = at
        self.client_id = client_id
        self.protocol = MQTT_5
        """Protocol Version; known to be right once connected."""
        self._public = public
        self.taken_over = False
        """True when another one connected under this Client Identifier."""
        self._dialer = dialer
        self._user_property = user_property
        self._on_message, self._on_reset, self._on_gone = on_message, on_reset, on_gone
        self._expiry = session_expiry
        self._resume = resume
        self._endless = endless
        self._client = self._make_client()
        self._early: list[tuple[Publish, Finished]] = []
        self._wants_open: list[asyncio.Future[None]] = []
        self._closing = self._held = False
        self._gone: MqttsecError | None = None
        self._was_connected = False
        self._asks: set[asyncio.Task[None]] = set()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    def _make_client(self) -> LightClient:
        properties = NO_PROPERTIES
        if self.protocol >= MQTT_5:
            properties = Properties(
                session_expiry_interval=self._expiry,
                user_property=self._user_property,
                receive_maximum=65_535,
            )
        return self._dialer.client(
            self.client_id,
            clean_start=not self._resume,
            properties=properties,
            protocol=self.protocol,
            auto_ack=False,
            on_message=self._message,
            timeout=None,
            peer=str(self.at),
        )

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self._client.connected

    @property
    def gone(self) -> bool:
        """True once it was given up."""
        return self._gone is not None or self._closing

    # Requests ----------------------------------------------------------------------------------

    def publish(self, publish: Publish, finished: Finished) -> None:
        """Send a message, now or with the next connection; `finished` is called at once for QoS 0."""
        if self._gone is not None or self._closing:
            finished(ReasonCode.UNSPECIFIED_ERROR, False)
        elif not self._was_connected:
            # The protocol version, and so whether properties may go along, is known with the CONNACK.
            self._early.append((publish, finished))
        else:
            self._publish(publish, finished)

    def _publish(self, publish: Publish, finished: Finished) -> None:
        if self.protocol < MQTT_5 and publish.properties is not NO_PROPERTIES:
            publish = Publish(publish.topic, publish.payload, publish.qos, publish.retain)
        if not publish.qos:
            if not self._client.connected:
                self._early.append((publish, finished))
                return
            self._client.send(publish)
            finished(0, True)
            return
        once = _Once(finished)
        try:
            # A bridge broker that says PUBREC has passed it on. A public broker may keep it until PUBREL
            # comes (MQTT 5, 4.3.3, method B), and would for ever if we crashed now: there PUBCOMP counts.
            self._client.submit(publish, once.finished, None if self._public else once.accepted)
        except MqttsecError:
            once.finished(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)

    def subscribe(
        self,
        wanted: SubscribeFilter,
        properties: Properties,
        answered: Finished,
        unless_present: bool = False,
    ) -> None:
        """Subscribe; `answered` gets the Reason Code of the SUBACK.

        With `unless_present` only if the other broker has not kept the session: there it stands already.
        """

        async def ask() -> int:
            if unless_present and self._client.connack is not None and self._client.connack.session_present:
                return wanted.qos
            given = properties if self.protocol >= MQTT_5 else NO_PROPERTIES
            return (await self._client.subscribe(wanted, properties=given))[0]

        self._ask(ask, answered)

    def unsubscribe(self, topic_filter: str, properties: Properties) -> None:
        """Give a subscription up, if there is a connection; nobody waits for the answer."""

        async def ask() -> int:
            given = properties if self.protocol >= MQTT_5 else NO_PROPERTIES
            await self._client.unsubscribe(topic_filter, properties=given)
            return 0

        if self._client.connected:
            self._ask(ask, lambda code, said: None)

    def _ask(self, question: Callable[[], Any], answered: Finished) -> None:
        async def ask() -> None:
            try:
                await self._opened()
                code = await question()
            except Refused as refused:
                answered(refused.reason_code, True)
            except MqttsecError:
                answered(ReasonCode.UNSPECIFIED_ERROR, False)
            else:
                answered(code, True)

        task = asyncio.get_running_loop().create_task(ask())
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)

    async def _opened(self) -> None:
        if self._gone is not None or self._closing:
            raise self._gone or ConnectionFailed("closed")
        if not self._client.connected:
            wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._wants_open.append(wait)
            await wait

    def acknowledge(self, message: Publish, reason_code: int = 0) -> None:
        """Answer a message; where the connection has changed since, the other broker sends it again."""
        if not message.qos or self._held:
            return
        code = reason_code if self.protocol >= MQTT_5 else 0
        with contextlib.suppress(MqttsecError):
            if self._client.connected:
                self._client.acknowledge(message, code)
            elif message.qos == 2:
                # Remembered: when it is sent again the session answers by itself.
                self._client.session.acknowledge(message, code)

    def hold(self) -> None:
        """Acknowledge nothing any more: it stays in the session, for whoever takes that over."""
        self._held = True

    def _message(self, message: Publish) -> None:
        if self._on_message is not None:
            self._on_message(self, message)

    # Life --------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause, given_up_at = _FIRST_PAUSE, loop.time() + self._dialer.patience
        while not self._closing:
            try:
                await self._speak_as_it_does()
                resume = self._was_connected or self._resume
                await asyncio.wait_for(
                    self._client.connect(self.at.host, self.at.port, clean_start=not resume),
                    max(self._dialer.patience, 1.0),
                )
            except (ConnectionFailed, asyncio.TimeoutError, TimeoutError) as error:
                refused = isinstance(error.__cause__, ConnectionRefusedError)
                if not self._endless and (refused or loop.time() + pause > given_up_at):
                    self._give_up(error if isinstance(error, MqttsecError) else ConnectionFailed(str(error)))
                    return
                if self._endless and loop.time() > given_up_at:
                    self._tell_early(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
                continue
            except MqttsecError as error:
                self._give_up(error)
                return
            self._entered()
            began = loop.time()
            await self._client.wait_closed()
            ended = self._client.server_disconnect
            if ended is not None and ended.reason_code == ReasonCode.SESSION_TAKEN_OVER:
                self.taken_over = True
                self._give_up(ConnectionFailed(f"{self.client_id}: another one took the session over"))
                return
            if self.protocol < MQTT_5 and loop.time() - began < _SHORT:
                # MQTT 3.1.1 does not say that another one took the session over. Two that both believe it to
                # be theirs come back more and more rarely, until one of them hears that nobody needs it.
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
            else:
                pause = _FIRST_PAUSE
            given_up_at = loop.time() + self._dialer.patience

    async def _speak_as_it_does(self) -> None:
        if self._public and not self._was_connected:
            protocol = await self._dialer.find_protocol(self.at)
            if protocol != self.protocol:
                self.protocol = protocol
                self._client = self._make_client()

    def _entered(self) -> None:
        connack = self._client.connack
        again, self._was_connected = self._was_connected, True
        early, self._early = self._early, []
        for publish, finished in early:
            self._publish(publish, finished)
        waiting, self._wants_open = self._wants_open, []
        for wait in waiting:
            if not wait.done():
                wait.set_result(None)
        if again and connack is not None and not connack.session_present and self._on_reset is not None:
            self._on_reset(self)

    def _tell_early(self, code: int) -> None:
        early, self._early = self._early, []
        for _, finished in early:
            finished(code, True)
        waiting, self._wants_open = self._wants_open, []
        for wait in waiting:
            if not wait.done():
                wait.set_exception(Refused(f"{self.at} does not answer", code))

    def _give_up(self, why: MqttsecError) -> None:
        if self._gone is None:
            self._gone = why
            self._drop_all(why)
            if self._on_gone is not None:
                self._on_gone(self, why)

    def _drop_all(self, why: MqttsecError) -> None:
        self._client.session.discard(why, queued=True)
        early, self._early = self._early, []
        for _, finished in early:
            finished(ReasonCode.UNSPECIFIED_ERROR, False)
        waiting, self._wants_open = self._wants_open, []
        for wait in waiting:
            if not wait.done():
                wait.set_exception(why)

    async def close(self, end_session: bool = True) -> None:
        """Disconnect. With `end_session` the session ends there, else it stays for its expiry."""
        if self._closing:
            return
        self._closing = True
        self._keeper.cancel()
        if self._client.connected:
            properties = NO_PROPERTIES
            if end_session and self.protocol >= MQTT_5:
                properties = Properties(session_expiry_interval=0)
            try:
                await asyncio.wait_for(self._client.disconnect(properties=properties), self._dialer.patience)
            except (asyncio.TimeoutError, TimeoutError):
                self._client.abort()
        self._drop_all(ConnectionFailed(f"{self.client_id} was closed"))
        for task in list(self._asks):
            task.cancel()
        await asyncio.gather(self._keeper, *self._asks, return_exceptions=True)

    def abort(self) -> None:
        """Drop everything without a word, as a crash does. Nobody is told."""
        self._closing = True
        self._keeper.cancel()
        for task in list(self._asks):
            task.cancel()
        self._client.abort()


class _Once:
    """Turns a client's two calls for one QoS 2 message, and its errors, into one."""

    __slots__ = ("_tell",)

    def __init__(self, tell: Finished) -> None:
        self._tell: Finished | None = tell

    def accepted(self) -> None:
        """PUBREC: the other bridge broker has passed it on, or it would not have said so."""
        self._say(0, True)

    def finished(self, outcome: int | MqttsecError) -> None:
        """PUBACK, PUBCOMP, or an error."""
        if isinstance(outcome, MqttsecError):
            self._say(ReasonCode.UNSPECIFIED_ERROR, False)
        else:
            self._say(outcome, True)

    def _say(self, code: int, said: bool) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(code, said)
