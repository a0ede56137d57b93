"""paho-mqtt's client with what MQTT 5 labs need on top: AUTH, a trace, and calls that wait.

    with Client(client_id="station", trace=trace) as client:
        client.connect_and_wait("127.0.0.1", port)
        client.subscribe_and_wait("weather/#", qos=1)
        client.publish_and_wait("weather/seattle", "12.8", qos=1)
        print(client.message().payload)

Everything of paho stays as its manual says: callbacks, `connect`, `loop_start`, `publish`, ... How it
is done stands in `paho_seam`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from mqttsec.errors import ConfigurationError, ConnectionFailed, Refused, TimedOut
from mqttsec.mqtt5.arguments import checked_filters, checked_topic, paho_filters, payload_bytes, shown
from mqttsec.mqtt5.granted import Granted, refusal
from mqttsec.mqtt5.paho_seam import PahoSeam
from mqttsec.packets import MQTT_5, Connack, Publish, encode, reason_name


class Client(PahoSeam):
    """A paho client. The arguments before `*` are paho's own, with today's defaults.

    `authenticator` does enhanced authentication (MQTT 5, 4.12), at every connection. `trace`
    gets each packet as it stood on the wire, under the name `client_id`; `peer` is the broker's
    name there. With `network`, connections are memory links from the host `client_id` with
    the settings `link`, and no thread or socket is used: the asyncio loop drives the client, under the
    virtual clock too; wait with `await ready()` and `await answer(mid)`.
    """

    # Calls that wait --------------------------------------------------------------------------

    def connect_and_wait(
        self, host: str = "127.0.0.1", port: int = 1883, timeout: float = 5.0, **options: Any
    ) -> Connack:
        """Connect, start paho's thread, and return the CONNACK.

        `options` are those of paho's `connect`. Raises `ConnectionFailed` (with the Reason Code of a
        refusal), `AuthenticationError` or `ProtocolError`; the client then does not try again.
        """
        self._refuse_to_block()
        if self.is_connected():
            raise ConfigurationError(f"{self._name} is connected already: disconnect first")
        self._stop_thread()
        self._begin_first_try()
        try:
            self.connect_timeout = timeout
            try:
                self.connect(host, port, **options)
            except OSError as error:
                raise ConnectionFailed(
                    f"{self._name}: no connection to {host}:{port} ({error}); is the broker running there?"
                ) from error
            except (ValueError, TypeError) as error:
                raise ConfigurationError(
                    f"{self._name} cannot connect to {shown(host)}, port {shown(port)}: {error}"
                ) from error
            self.loop_start()
            in_time = self._wait(self._is_decided, timeout)
            return self._decision(f"{host}:{port}", timeout if not in_time else None)
        except BaseException:
            self._stop_thread()
            raise
        finally:
            self._end_first_try()

    def subscribe_and_wait(
        self, topic: Any, qos: int = 0, timeout: float = 5.0, **options: Any
    ) -> tuple[int, ...]:
        """Subscribe as with paho's `subscribe` and return the Reason Codes of the SUBACK.

        Raises `Refused` if the Server refused any filter, `TimedOut` or `ConnectionFailed`.
        """
        self._refuse_to_block()
        checked_filters(self._name, paho_filters(topic))
        try:
            rc, mid = self.subscribe(topic, qos, **options)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self._name} cannot subscribe to {shown(topic)}: {error}") from error
        codes = self._answer(rc, mid, timeout, f"SUBACK for {shown(topic)}")
        self._raise_refusal(codes, f"a subscription to {shown(topic)}")
        return codes

    def unsubscribe_and_wait(self, topic: Any, timeout: float = 5.0, **options: Any) -> tuple[int, ...]:
        """Unsubscribe and return the Reason Codes of the UNSUBACK; raises as `subscribe_and_wait`."""
        self._refuse_to_block()
        checked_filters(self._name, paho_filters(topic))
        try:
            rc, mid = self.unsubscribe(topic, **options)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self._name} cannot give up {shown(topic)}: {error}") from error
        codes = self._answer(rc, mid, timeout, f"UNSUBACK for {shown(topic)}")
        self._raise_refusal(codes, f"the end of the subscription to {shown(topic)}")
        return codes

    def publish_and_wait(
        self, topic: str, payload: Any = None, qos: int = 1, timeout: float = 5.0, **options: Any
    ) -> int:
        """Publish, and return the Reason Code of the acknowledgement; at QoS 0 wait until it is sent.

        Raises `Refused`, `TimedOut` or `ConnectionFailed`; before anything is sent, `ConfigurationError` for
        what no server takes and `ProtocolError` for what this one does not. Above QoS 0 paho keeps an
        unacknowledged message and sends it again when it connects again.
        """
        self._refuse_to_block()
        try:
            self._check_message(topic, payload, qos, **options)
            info = self.publish(topic, payload, qos, **options)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self._name} cannot publish to {shown(topic)}: {error}") from error
        if qos:
            (code,) = self._answer(info.rc, info.mid, timeout, f"the acknowledgement of {shown(topic)}")
            self._raise_refusal((code,), f"a message on {shown(topic)}")
            return code
        if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            try:
                info.wait_for_publish(timeout)
            except RuntimeError:
                raise self._no_connection() from None
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._no_connection()
        if not info.is_published():
            raise TimedOut(f"{self._name}: a message on {shown(topic)} did not leave within {timeout:g} s; "
                           "does the broker read?")
        return 0

    def reauthenticate(self) -> MQTTErrorCode:
        """Begin to authenticate again on the living connection (4.12.1); does not wait.

        Raises `AuthenticationError` if there is no authenticator, no connection, or it has begun.
        """
        auth = self._authentication.renew()
        return self._send_auth(auth)

    def reauthenticate_and_wait(self, timeout: float = 5.0) -> None:
        """Authenticate again and wait for the Server's AUTH 0x00.

        Raises `AuthenticationError`, or `ConnectionFailed` with the Server's Reason Code: a refusal ends
        the connection.
        """
        self._refuse_to_block()
        self.reauthenticate()
        in_time = self._wait(lambda: not self._authentication.renewing or self._is_over(), timeout)
        if self._is_over():
            raise self._failure or self._no_connection()
        if not in_time:
            raise TimedOut(f"{self._name}: the re-authentication was not decided within {timeout:g} s")

    def message(self, timeout: float = 5.0) -> paho.MQTTMessage:
        """Take the next message that arrived; raises `TimedOut`. Callbacks get every message all the same."""
        self._refuse_to_block()
        if not self._wait(lambda: bool(self._inbox), timeout):
            raise TimedOut(f"{self._name}: no message came within {timeout:g} s; is somebody publishing to "
                           "what it subscribes to?")
        return self._inbox.popleft()

    def messages(self, timeout: float = 1.0, count: int | None = None) -> Iterator[paho.MQTTMessage]:
        """Take messages as they arrive, until none came for `timeout` seconds.

        With `count` it ends after so many, and raises `TimedOut` if one of them stays away.
        """
        taken = 0
        while count is None or taken < count:
            try:
                message = self.message(timeout)
            except TimedOut:
                if count is None:
                    return
                raise
            taken += 1
            yield message

    def close(self) -> None:
        """Disconnect if connected, and end paho's thread."""
        self.disconnect()
        self._stop_thread()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Over a memory link -----------------------------------------------------------------------

    async def ready(self, timeout: float = 30.0) -> Connack:
        """After `connect` over a `network`: wait for the CONNACK; raises as `connect_and_wait`."""
        in_time = await self._watch(self._is_decided, timeout)
        return self._decision(f"{self._host}:{self._port}", None if in_time else timeout)

    async def answer(self, mid: int, timeout: float = 30.0) -> tuple[int, ...]:
        """The Reason Codes that answer the request `mid`, as `subscribe` and `publish(...).mid` return it.

        Those of the SUBACK or UNSUBACK; one, of the last acknowledgement, for a QoS 1 or 2 message.
        """
        await self._watch(lambda: mid in self._answers or self._is_over(), timeout)
        if mid in self._answers:
            return self._answers.pop(mid)
        if self._is_over():
            raise self._no_connection()
        raise TimedOut(f"{self._name}: request {mid} was not answered within {timeout:g} s")

    # Small parts ------------------------------------------------------------------------------

    def _check_message(
        self, topic: Any, payload: Any, qos: int, retain: bool = False, properties: Any = None
    ) -> None:
        # A message that costs the connection would be sent again on the next one: paho keeps it.
        alias = getattr(properties, "TopicAlias", None)
        if topic != "" or alias is None:
            topic = checked_topic(self._name, topic)
        if payload is None or isinstance(payload, (int, float)):
            payload = "" if payload is None else str(payload)
        raw = payload_bytes(self._name, payload)
        if self._connack is None or qos not in (0, 1, 2):
            # Not connected, or what paho refuses itself.
            return
        protocol = self._recorder.protocol
        if protocol >= MQTT_5 and properties is not None:
            # Its first byte stands in our empty properties already; all that counts here is the size.
            raw += properties.pack()[1:]
        packet = Publish(topic or "-", raw, qos, packet_id=1 if qos else None)
        Granted.by(self._connack).check_limits(len(encode(packet, protocol)), qos, retain)

    def _is_over(self) -> bool:
        return self._ended is not None or self._failure is not None

    def _is_decided(self) -> bool:
        return self._connack is not None or self._is_over()

    def _decision(self, where: str, late: float | None) -> Connack:
        """The CONNACK, or the error that stands for it; `late` are the seconds waited in vain."""
        if self._connack is not None:
            # What went wrong after a CONNACK is for the next call to find.
            if self._connack.reason_code:
                raise refusal(self._name, self._connack, self._recorder.protocol)
            return self._connack
        if self._failure is not None:
            raise self._failure
        if late is None:
            raise self._no_connection()
        raise ConnectionFailed(
            f"{self._name}: no CONNACK from {where} within {late:g} s; is it an MQTT broker, and is it "
            "reachable?"
        )

    def _no_connection(self) -> ConnectionFailed:
        return self._ended or ConnectionFailed(f"{self._name} is not connected: connect_and_wait() first")

    def _answer(self, rc: MQTTErrorCode, mid: int | None, timeout: float, what: str) -> tuple[int, ...]:
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise self._no_connection()
        self._wait(lambda: mid in self._answers or self._is_over(), timeout)
        if mid in self._answers:
            return self._answers.pop(mid)
        if self._is_over():
            raise self._no_connection()
        raise TimedOut(f"{self._name}: waited {timeout:g} s in vain for {what}; look at the trace, or give "
                       "a longer timeout")

    def _raise_refusal(self, codes: tuple[int, ...], what: str) -> None:
        refused = [code for code in codes if code >= 0x80]
        if refused:
            raise Refused(
                f"{self._name}: the Server refused {what} with {reason_name(refused[0])}", refused[0]
            )

    def _refuse_to_block(self) -> None:
        if self._network is not None:
            raise ConfigurationError("over a memory link nothing can block: connect(), then await ready(); "
                                     "publish(), then await answer(mid)")
        if threading.current_thread() is self._thread:
            raise ConfigurationError("a paho callback must not wait for paho: use subscribe() or publish() "
                                     "there and go on in on_subscribe or on_publish")

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._news:
            return self._news.wait_for(condition, timeout)

    async def _watch(self, condition: Callable[[], bool], timeout: float) -> bool:
        if self._network is None:
            raise ConfigurationError("this is for clients over a memory link: give the client a network")
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while not condition():
            watcher: asyncio.Future[None] = loop.create_future()
            self._watchers.append(watcher)
            timer = loop.call_at(end, self._tell)
            try:
                await watcher
            finally:
                timer.cancel()
            if loop.time() >= end:
                return condition()
        return True

    def _stop_thread(self) -> None:
        """Stop trying to connect and end paho's thread. Not from a callback, as paho's `loop_stop`."""
        thread = self._thread
        if not self.is_connected():
            # Without a connection this sends nothing; it tells paho's thread to stop trying.
            self.disconnect()
        if thread is not None and thread is not threading.current_thread():
            # paho's own `loop_stop` may find the thread gone between two of its lines.
            self._thread_terminate = True
            thread.join(5.0)
