"""Enhanced authentication: any number of AUTH rounds before CONNACK, and re-authentication (4.12).

A method is a coroutine that reads like the protocol it implements::

    class PingPong:
        method = "ping-pong"

        async def authenticate(self, conversation):
            if conversation.data != b"ping":
                raise AuthenticationError("expected ping", 0x87)
            answer = await conversation.challenge(b"pong?")
            ...
            return AuthSuccess(b"welcome")

The broker turns `challenge` into an AUTH packet with Reason Code 0x18 and the client's next AUTH into
its return value, the result into CONNACK (or AUTH 0x00 when re-authenticating), and a raised
`AuthenticationError` into a refusal with its Reason Code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5.session import Session
from mqttsec.packets import NO_PROPERTIES, Auth, Connect, Properties, ReasonCode


@dataclass(frozen=True)
class AuthSuccess:
    """The end of an authentication that succeeded."""

    data: bytes | None = None
    """Authentication Data for CONNACK or the last AUTH; None: there is none."""
    user_property: tuple[tuple[str, str], ...] = ()
    """User Properties for the same packet."""
    entered: Callable[[Session], None] | None = None
    """Called with the client's session once it has its connection and that packet is on its way; what the
    session is sent from there follows it."""
    abandoned: Callable[[], None] | None = None
    """Called instead where the client does not come in after all: it is gone, or there is no room."""


class AuthConversation:
    """One authentication, as the method sees it."""

    def __init__(
        self,
        connect: Connect,
        session: Session,
        data: bytes | None,
        again: bool,
        send: Callable[[Auth], None],
        timeout: float,
    ) -> None:
        self.connect = connect
        """The CONNECT that opened the connection."""
        self.session = session
        """The client's session-to-be. The method may set its `channel`, and its `username` for access rules;
        the User Name of the CONNECT is not taken over, since nobody has checked it."""
        self.data = data
        """The client's first Authentication Data."""
        self.again = again
        """True for a re-authentication (AUTH 0x19) of a connected client."""
        self._send = send
        self._timeout = timeout
        self._answer: asyncio.Future[bytes | None] | None = None
        self._task = asyncio.current_task()
        self._interrupted = False

    async def challenge(
        self, data: bytes | None = None, properties: Properties = NO_PROPERTIES, timeout: float | None = None
    ) -> bytes | None:
        """Send AUTH 0x18 with `data` and return the Authentication Data of the client's next AUTH.

        `properties` may add User Properties or a Reason String. `timeout` in seconds; the default is the
        broker's `connect_timeout`. Raises `AuthenticationError` when the client does not answer in time.
        """
        self._answer = asyncio.get_running_loop().create_future()
        # [MQTT-4.12.0-2], [MQTT-4.12.0-5]: 0x18 and the same Authentication Method as the CONNECT.
        self._send(
            Auth(
                ReasonCode.CONTINUE_AUTHENTICATION,
                Properties(
                    authentication_method=self.connect.properties.authentication_method,
                    authentication_data=data,
                    reason_string=properties.reason_string,
                    user_property=properties.user_property,
                ),
            )
        )
        answer = self._answer
        try:
            # Not `wait_for`: before Python 3.12 it forgets a cancellation that comes right after the answer,
            # and the method would go on for a client that is gone.
            await asyncio.wait((answer,), timeout=self._timeout if timeout is None else timeout)
        finally:
            self._answer = None
        if not answer.done():
            raise AuthenticationError(
                "the client did not answer the challenge in time", ReasonCode.NOT_AUTHORIZED
            )
        return answer.result()

    def interrupt(self) -> None:
        """The time is over: the method's wait, whatever it is for, ends with `CancelledError`."""
        if self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def was_interrupted(self) -> bool:
        """True where a `CancelledError` comes from `interrupt`; the task may then go on."""
        # Python 3.11 counts cancellations; 3.10 does not.
        if self._interrupted and (uncancel := getattr(self._task, "uncancel", None)) is not None:
            uncancel()
        return self._interrupted

    @property
    def expects_answer(self) -> bool:
        """True while a challenge waits for the client."""
        return self._answer is not None and not self._answer.done()

    def answer(self, data: bytes | None) -> None:
        """The client's AUTH came (called by the connection)."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(data)


class AuthenticationMethod(Protocol):
    """A pluggable enhanced authentication method."""

    method: str
    """Authentication Method, as it stands in CONNECT."""

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        """Authenticate one client.

        Raises `AuthenticationError` to refuse; nothing of the attempt stays behind.
        """
