"""Enhanced authentication as the Client sees it (MQTT 5, 4.12): one exchange, no sockets.

A method is an `Authenticator`: what it says first, what it answers to each challenge, and whether
it is content with the Server's last word. `ClientAuthentication` is the part that is the same for
every method: which AUTH may come when, and that the method's name never changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from mqttsec.errors import AuthenticationError, ProtocolError
from mqttsec.packets import Auth, Disconnect, Properties, ReasonCode, reason_name

_CLIENT_MAY_SAY = frozenset({0x80, 0x81, 0x82, 0x83, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99})
"""The failures that a Client's DISCONNECT may name (table 3-10); 0x87 is the Server's alone."""


class Authenticator(Protocol):
    """One enhanced authentication method on the Client's side. It keeps the secrets; nobody asks for them.

    Every method may raise `AuthenticationError` to end the exchange: the Client then disconnects.
    """

    @property
    def method(self) -> str:
        """The Authentication Method, agreed upon with the Server."""

    def first(self) -> bytes | None:
        """Begin an exchange: the Authentication Data of the CONNECT, or of the AUTH that re-authenticates."""

    def challenge(self, data: bytes | None) -> bytes | None:
        """Answer the Authentication Data of an AUTH 0x18 (Continue authentication)."""

    def finish(self, data: bytes | None) -> None:
        """Take the Authentication Data of the CONNACK or AUTH 0x00 that ends the exchange.

        In mutual authentication this is where the Server proves itself: raise `AuthenticationError`
        if `data` does not.
        """


def farewell(reason_code: int, protocol: int = 5) -> Disconnect:
    """The DISCONNECT of a Client that gives up for `reason_code`, in a code that it is allowed to send."""
    if protocol < 5:
        return Disconnect()
    return Disconnect(reason_code if reason_code in _CLIENT_MAY_SAY else ReasonCode.UNSPECIFIED_ERROR)


class ClientAuthentication:
    """The exchange of one Network Connection; make a new one for every CONNECT.

    Without an authenticator it only refuses what must not come.
    """

    def __init__(self, authenticator: Authenticator | None) -> None:
        self._authenticator = authenticator
        self.connected = False
        """True once the CONNACK has been accepted."""
        self.renewing = False
        """True from AUTH 0x19 until the Server's AUTH 0x00."""
        self.rounds = 0
        """Number of challenges answered in the exchange under way, or in the last one."""

    @property
    def method(self) -> str | None:
        """The Authentication Method, if there is one."""
        return None if self._authenticator is None else self._authenticator.method

    def begin(self, properties: Properties) -> Properties:
        """The CONNECT Properties with Authentication Method and Data in them."""
        if self._authenticator is None:
            return properties
        return replace(
            properties,
            authentication_method=self._authenticator.method,
            authentication_data=self._authenticator.first(),
        )

    def renew(self) -> Auth:
        """The AUTH 0x19 that begins a re-authentication (4.12.1).

        Raises `AuthenticationError` where none can begin now.
        """
        # [MQTT-4.12.1-1] only "If the Client supplied an Authentication Method in the CONNECT packet".
        if self._authenticator is None:
            raise AuthenticationError("there is no authenticator: give one before connecting")
        if not self.connected or self.renewing:
            state = "a re-authentication is under way" if self.renewing else "there is no connection"
            raise AuthenticationError(f"cannot re-authenticate: {state}")
        auth = self._auth(ReasonCode.RE_AUTHENTICATE, self._authenticator.first())
        self.renewing, self.rounds = True, 0
        return auth

    def answer(self, auth: Auth) -> Auth | None:
        """What to send on the Server's AUTH; None when it ends a re-authentication.

        Raises `ProtocolError` for an AUTH that must not come and what the authenticator raises.
        """
        if self._authenticator is None:
            # [MQTT-4.12.0-6] "If the Client does not include an Authentication Method in the CONNECT, the
            # Server MUST NOT send an AUTH packet".
            raise ProtocolError("the Server sent AUTH, though no Authentication Method was asked for")
        self._check_method(auth.properties, "AUTH")
        if self.connected and not self.renewing:
            # 4.12.1: re-authentication is for the Client to begin.
            raise ProtocolError("the Server sent AUTH outside any exchange")
        if auth.reason_code == ReasonCode.CONTINUE_AUTHENTICATION:
            reply = self._authenticator.challenge(auth.properties.authentication_data)
            self.rounds += 1
            return self._auth(ReasonCode.CONTINUE_AUTHENTICATION, reply)
        # Table 3-12: the Server may send 0x00 and 0x18; before CONNACK success is the CONNACK itself.
        if auth.reason_code != ReasonCode.SUCCESS or not self.renewing:
            raise ProtocolError(f"the Server may not send AUTH with {reason_name(auth.reason_code)} now")
        self._authenticator.finish(auth.properties.authentication_data)
        self.renewing = False
        return None

    def accept(self, properties: Properties) -> None:
        """Take the properties of a successful CONNACK.

        Raises `ProtocolError` if it leaves the exchange unfinished, and what the authenticator raises.
        """
        if self._authenticator is not None:
            self._check_method(properties, "CONNACK")
            self._authenticator.finish(properties.authentication_data)
        self.connected = True

    def _auth(self, reason_code: int, data: bytes | None) -> Auth:
        return Auth(reason_code, Properties(authentication_method=self.method, authentication_data=data))

    def _check_method(self, properties: Properties, packet: str) -> None:
        # [MQTT-4.12.0-5] "all AUTH packets, and any successful CONNACK packet MUST include an
        # Authentication Method Property with the same value as in the CONNECT packet". Without this
        # check a false Server could skip the step in which it proves itself.
        if properties.authentication_method != self.method:
            raise ProtocolError(
                f"the {packet} names the Authentication Method {properties.authentication_method!r}, "
                f"the CONNECT named {self.method!r}"
            )
