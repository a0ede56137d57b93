"""A light asyncio client for MQTT 5.0 and 3.1.1: thousands of them in one process.

    client = LightClient("alice", network=network, trace=trace)
    await client.connect("broker", 1883)
    await client.subscribe("weather/#", qos=1)
    await client.publish("weather/seattle", "12.8", qos=2)
    message = await client.next_message()

Without `network` the same calls go over TCP. All timing is the event loop's, so that it runs under
the virtual clock. A client belongs to one loop and its thread; in a notebook use `Client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType

from mqttsec.errors import ConfigurationError, ConnectionFailed, MqttsecError, Refused, TimedOut
from mqttsec.mqtt5.arguments import payload_bytes, shown
from mqttsec.mqtt5.client_session import Delivery
from mqttsec.mqtt5.light_connecting import LightConnecting
from mqttsec.mqtt5.light_link import settle
from mqttsec.packets import (
    NO_PROPERTIES,
    Packet,
    PacketType,
    Pingreq,
    Properties,
    Publish,
    ReasonCode,
    Subscribe,
    SubscribeFilter,
    Unsubscribe,
    encode,
    reason_name,
)


class LightClient(LightConnecting):
    """One MQTT client on an asyncio loop.

    `properties` are the CONNECT Properties. `authenticator` does enhanced authentication. With
    `network` connections are memory links from the host `client_id`. `auto_ack=False` leaves
    PUBACK and PUBREC to `acknowledge`. `on_message` gets every message; without it they wait for
    `messages` or `next_message`, without bound. `topic_aliases` shortens topics as far as the
    Server allows. `timeout`, in seconds, bounds every wait for an answer; None waits for ever.
    `peer` is the broker's name in the `trace`.
    """

    # Requests ---------------------------------------------------------------------------------

    async def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> int:
        """Publish a message; returns the Reason Code once it is acknowledged (QoS 0: once it is sent).

        If the connection ends and the session outlives it, this goes on waiting: the message is sent
        again on the next connection. Raises `Refused`, `TimedOut`, `ConnectionFailed`, and
        `ProtocolError` for what may not be sent.
        """
        self._check_properties(properties)
        if not isinstance(topic, str):
            raise ConfigurationError(f"{self._name} cannot publish to {shown(topic)}: a topic is text")
        raw = payload_bytes(self._name, payload)
        publish = Publish(topic, raw, qos, retain, properties=properties)
        await self._require_link().writable()
        link = self._require_link()
        self.granted.check(publish, self.protocol)
        if not qos:
            link.send(link.shorten(publish))
            return ReasonCode.SUCCESS
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.session.submit(Delivery(publish, lambda result: settle(outcome, result)))
        self._send_ready(link)
        code: int = await self._within(outcome, f"the acknowledgement of a QoS {qos} message on {topic!r}")
        if code >= 0x80:
            raise Refused(
                f"{self._name}: the Server refused a message on {topic!r}, {reason_name(code)}", code
            )
        return code

    def submit(
        self,
        publish: Publish,
        finished: Callable[[int | MqttsecError], None],
        accepted: Callable[[], None] | None = None,
    ) -> None:
        """Publish at QoS 1 or 2 without waiting, connected or not; for who has thousands under way.

        `finished` is called once, with the Reason Code of the last acknowledgement or with why there is none;
        at QoS 2 `accepted` is called before, when the message is the Server's (PUBREC). Without a connection
        the message leaves with the next one. Raises `ProtocolError` for what may not be sent.
        """
        self._check_properties(publish.properties)
        if self._connected:
            self.granted.check(publish, self.protocol)
        self.session.submit(Delivery(publish, finished, accepted))
        if self._connected and self._link is not None:
            self._send_ready(self._link)

    async def subscribe(
        self, *filters: str | SubscribeFilter, qos: int = 0, properties: Properties = NO_PROPERTIES
    ) -> tuple[int, ...]:
        """Subscribe to Topic Filters, `qos` applying to those given as text; returns the Reason Codes.

        Raises `Refused` if the Server refused any of them.
        """
        self._check_properties(properties)
        wanted = tuple(self._wanted(item, qos) for item in filters)
        codes = await self._request(lambda number: Subscribe(number, wanted, properties), "SUBACK")
        self._raise_refusals([item.topic_filter for item in wanted], codes, "subscribe to")
        return codes

    async def unsubscribe(self, *filters: str, properties: Properties = NO_PROPERTIES) -> tuple[int, ...]:
        """Give subscriptions up; returns the Reason Codes (none in MQTT 3.1.1). Raises `Refused`."""
        self._check_properties(properties)
        wanted = tuple(self._wanted(item, 0).topic_filter for item in filters)
        codes = await self._request(lambda number: Unsubscribe(number, wanted, properties), "UNSUBACK")
        self._raise_refusals(list(filters), codes, "unsubscribe from")
        return codes

    async def ping(self) -> float:
        """Send a PINGREQ; returns the seconds until the PINGRESP."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        link = self._require_link()
        answer = link.question((PacketType.PINGRESP, link.pings_sent))
        link.send(Pingreq())
        await self._within(answer, "PINGRESP")
        return loop.time() - begun

    async def reauthenticate(self) -> None:
        """Authenticate again on the living connection (4.12.1); messages go on meanwhile.

        Raises `AuthenticationError`, or `ConnectionFailed` with the Server's Reason Code: a refusal
        ends the connection.
        """
        link = self._require_link()
        frame = encode(self._authentication.renew())
        done = link.question(PacketType.AUTH)
        link.send_frame(frame)
        await self._within(done, "the Server's AUTH")

    def send(self, packet: Packet | bytes) -> None:
        """Send a packet, or any bytes, past all rules: for labs and tests that break them on purpose."""
        link = self._require_link()
        if isinstance(packet, bytes):
            link.send_frame(packet)
        else:
            link.send(packet)

    # Messages ---------------------------------------------------------------------------------

    async def messages(self) -> AsyncIterator[Publish]:
        """The messages as they come, until the connection ends."""
        while True:
            try:
                message = await self._next(None)
            except ConnectionFailed:
                return
            yield message

    async def next_message(self, timeout: float | None = None) -> Publish:
        """The next message. `timeout` in seconds; without it the client's own holds.

        Raises `TimedOut` and, once the connection has ended and all was read, `ConnectionFailed`.
        """
        return await self._next(self.timeout if timeout is None else timeout)

    async def _next(self, timeout: float | None) -> Publish:
        late = TimedOut(
            f"{self._name}: no message came within {timeout or 0:g} s; is somebody publishing to what it "
            "subscribes to?"
        )
        while True:
            message = self._inbox.take()
            if message is not None:
                return message
            self._require_link()
            await self._inbox.news(timeout, late)

    def acknowledge(
        self, message: Publish, reason_code: int = 0, properties: Properties = NO_PROPERTIES
    ) -> None:
        """Send the PUBACK or PUBREC of a message that came with `auto_ack=False`.

        Raises `MqttsecError` if it waits for none, `ConnectionFailed` without a connection.
        """
        self._check_properties(properties)
        link = self._require_link()
        link.send(replace(self.session.acknowledge(message, reason_code), properties=properties))

    async def __aenter__(self) -> LightClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    # Small parts ------------------------------------------------------------------------------

    def _wanted(self, item: object, qos: int) -> SubscribeFilter:
        if isinstance(item, SubscribeFilter):
            return item
        if isinstance(item, str):
            return SubscribeFilter(item, qos)
        raise ConfigurationError(f"{self._name}: {shown(item)} is no Topic Filter: text or a SubscribeFilter")

    async def _request(self, make: Callable[[int], Subscribe | Unsubscribe], name: str) -> tuple[int, ...]:
        link = self._require_link()
        packet_id = self.session.reserve()
        try:
            frame = encode(make(packet_id), self.protocol)
            answer = link.question((PacketType[name], packet_id))
            link.send_frame(frame)
            codes: tuple[int, ...] = await self._within(answer, name)
            return codes
        finally:
            self.session.free(packet_id)

    def _raise_refusals(self, filters: list[str], codes: tuple[int, ...], verb: str) -> None:
        refused = [(name, code) for name, code in zip(filters, codes, strict=False) if code >= 0x80]
        if refused:
            named = ", ".join(f"{name!r} ({reason_name(code)})" for name, code in refused)
            raise Refused(f"{self._name} may not {verb} {named}", refused[0][1])
