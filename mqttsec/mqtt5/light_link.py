"""One Network Connection of a `LightClient`: bytes to packets and back, keep alive, Topic Aliases.

What belongs to a connection dies with it and stands here; what outlives it is the session's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, cast

from mqttsec.errors import AuthenticationError, ConnectionFailed, MqttsecError, ProtocolError
from mqttsec.mqtt5.client_auth import farewell
from mqttsec.mqtt5.recorder import Recorder
from mqttsec.packets import (
    Packet,
    PacketType,
    Pingreq,
    Publish,
    ReasonCode,
    Splitter,
    decode,
    encode,
)

_EARLY = 0.1
"""A PINGREQ leaves when so much of the Keep Alive is still left: timers are never early, and the
standard counts until the packet has *left* [MQTT-3.1.2-20]."""


_PINGREQ = bytes((PacketType.PINGREQ << 4,))


class ClientLink(asyncio.Protocol):
    """The asyncio protocol of one connection, over TCP, TLS or a memory link.

    `on_packet` gets every packet and may raise `ProtocolError` or `AuthenticationError`: the link
    then says so to the Server and closes. `on_lost` is called once, at the end, with why.
    """

    def __init__(
        self,
        recorder: Recorder,
        largest_packet: int,
        on_packet: Callable[[ClientLink, Packet], None],
        on_lost: Callable[[ClientLink, MqttsecError | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._recorder = recorder
        self._protocol = recorder.protocol
        self._splitter = Splitter(largest_packet)
        self._on_packet = on_packet
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._why: MqttsecError | None = None
        self._ending = False
        self._can_write: asyncio.Future[None] | None = None
        self._keep_alive = 0.0
        self._keep_alive_timer: asyncio.TimerHandle | None = None
        self._last_sent = 0.0
        self.pings_sent = 0
        """PINGREQ packets sent on this connection; the n-th PINGRESP answers the n-th."""
        self.pings_answered = 0
        """PINGRESP packets dealt with."""
        self._waits: dict[Hashable, asyncio.Future[Any]] = {}
        self._aliases_out: dict[str, int] = {}
        self._aliases_in: dict[int, str] = {}
        self.ended = False
        """True once the connection is gone."""
        self.alias_maximum_out = 0
        """Highest Topic Alias that may be used towards the Server; 0: none."""
        self.alias_maximum_in = 0
        """Highest Topic Alias that the Server may use, as the CONNECT announced."""

    # asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._recorder.opened(protected=transport.get_extra_info("ssl_object") is not None)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._splitter.iterate(data):
                if self._ending:
                    return
                self._recorder.received(frame)
                packet = decode(frame, self._protocol, from_client=False)
                self._on_packet(self, packet)
                if packet.packet_type is PacketType.PINGRESP:
                    self.pings_answered += 1
        except (ProtocolError, AuthenticationError) as error:
            self.fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        if self._keep_alive_timer is not None:
            self._keep_alive_timer.cancel()
        self.resume_writing()
        if self._why is None and not self._ending:
            self._why = ConnectionFailed(f"the connection was lost: {error or 'the other side closed it'}")
        self._ending = self.ended = True
        self._recorder.closed("" if self._why is None else str(self._why))
        for wait in self._waits.values():
            settle(wait, self._why or ConnectionFailed("the client has disconnected"))
        self._on_lost(self, self._why)

    def pause_writing(self) -> None:
        self._can_write = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._can_write is not None and not self._can_write.done():
            self._can_write.set_result(None)
        self._can_write = None

    # The client's side ------------------------------------------------------------------------

    @property
    def ending(self) -> bool:
        """True once nothing more can be sent."""
        return self._ending

    async def writable(self) -> None:
        """Wait until the transport takes more: here a busy publisher waits instead of filling memory."""
        while self._can_write is not None:
            await asyncio.shield(self._can_write)

    def send(self, packet: Packet) -> None:
        """Encode and send a packet; once the link is ending, nothing is sent.

        Raises `ProtocolError` if the packet may not be sent.
        """
        self.send_frame(encode(packet, self._protocol))

    def send_frame(self, frame: bytes) -> None:
        """Send bytes as they are."""
        if self._transport is None or self._ending:
            return
        self._last_sent = self._loop.time()
        self.pings_sent += frame[:1] == _PINGREQ
        self._recorder.sent(frame)
        self._transport.write(frame)

    def fail(self, error: MqttsecError) -> None:
        """End the connection for `error`, and tell the Server why where the protocol has a way to."""
        reason_code = getattr(error, "reason_code", None)
        if not self._ending and reason_code is not None and self._protocol >= 5:
            self.send(farewell(reason_code))
        self.end(error)

    def end(self, why: MqttsecError | None = None) -> None:
        """Close when everything that was sent has left."""
        if not self._ending:
            self._ending, self._why = True, why
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: MqttsecError) -> None:
        """Drop the connection at once, with what has not left yet."""
        if not self._ending:
            self._ending, self._why = True, why
        if self._transport is not None:
            self._transport.abort()

    # Questions and answers --------------------------------------------------------------------

    def question(self, key: Hashable) -> asyncio.Future[Any]:
        """What `answer` with the same key settles, and the end of the connection with its error."""
        wait = self._waits[key] = self._loop.create_future()
        return wait

    def answer(self, key: Hashable, answer: object = None) -> None:
        """Settle the question `key`, if somebody asked it."""
        wait = self._waits.pop(key, None)
        if wait is not None:
            settle(wait, answer)

    # Keep alive -------------------------------------------------------------------------------

    def start_keep_alive(self, seconds: int) -> None:
        """Ping whenever nothing else was sent for `seconds` (3.1.2.10); 0 turns it off."""
        self._keep_alive = seconds * (1 - _EARLY)
        if seconds:
            self._arm_keep_alive()

    def _arm_keep_alive(self) -> None:
        self._keep_alive_timer = self._loop.call_at(self._last_sent + self._keep_alive, self._keep_alive_due)

    def _keep_alive_due(self) -> None:
        # Sending does not move the timer; it looks here when it is due. One timer a connection, whatever
        # is sent.
        # (Put as the timer was: a difference may round to less than what was waited for, and then the virtual
        # clock would stand still.)
        if self._loop.time() < self._last_sent + self._keep_alive:
            self._arm_keep_alive()
        elif self.pings_answered < self.pings_sent:
            # 3.1.2.10: "If a Client does not receive a PINGRESP packet within a reasonable amount of time
            # after it has sent a PINGREQ, it SHOULD close the Network Connection to the Server."
            self.abort(ConnectionFailed(f"the Server has not answered a PINGREQ for {self._keep_alive:g} s",
                                        ReasonCode.KEEP_ALIVE_TIMEOUT))
        else:
            self.send(Pingreq())
            self._arm_keep_alive()

    # Topic Aliases ----------------------------------------------------------------------------

    def shorten(self, publish: Publish) -> Publish:
        """`publish` with a Topic Alias in the place of its Topic Name, if there is one (3.3.2.3.4)."""
        alias = self._aliases_out.get(publish.topic)
        if alias is not None:
            return replace(publish, topic="", properties=replace(publish.properties, topic_alias=alias))
        # [MQTT-3.3.2-9] "A Client MUST NOT send a PUBLISH packet with a Topic Alias greater than the Topic
        # Alias Maximum value returned by the Server".
        if len(self._aliases_out) >= self.alias_maximum_out:
            return publish
        alias = self._aliases_out[publish.topic] = len(self._aliases_out) + 1
        return replace(publish, properties=replace(publish.properties, topic_alias=alias))

    def lengthen(self, publish: Publish) -> Publish:
        """`publish` with the Topic Name that its Topic Alias stands for.

        Raises `ProtocolError` for an alias that was not allowed or never set.
        """
        alias = publish.properties.topic_alias
        if alias is None:
            return publish
        if not 1 <= alias <= self.alias_maximum_in:
            raise ProtocolError(f"Topic Alias {alias} is above the maximum of {self.alias_maximum_in}",
                                ReasonCode.TOPIC_ALIAS_INVALID)
        topic = publish.topic or self._aliases_in.get(alias)
        if topic is None:
            raise ProtocolError(f"Topic Alias {alias} stands for no Topic Name yet")
        self._aliases_in[alias] = topic
        return replace(publish, topic=topic, properties=replace(publish.properties, topic_alias=None))


def settle(future: asyncio.Future[Any], outcome: object) -> None:
    """Give a future its outcome, an error or a result, unless it has one."""
    if future.done():
        return
    if isinstance(outcome, MqttsecError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
