"""One error family: every error that mqttsec raises on purpose is a `MqttsecError`.

A message names the party, what went wrong and what to do next. No message holds key material.
"""

from __future__ import annotations


class MqttsecError(Exception):
    """Base of every error that mqttsec raises on purpose."""


class ConfigurationError(MqttsecError):
    """A setting or argument that cannot work: an unknown option, a port in use, a wrong topic."""


class MissingPeerError(MqttsecError):
    """A program from elsewhere that was asked for (mosquitto, tshark, chromium) is not installed."""


class ConnectionFailed(MqttsecError):
    """A connection could not be made, was refused, or ended before the answer came."""

    def __init__(self, message: str, reason_code: int | None = None) -> None:
        super().__init__(message)
        self.reason_code = reason_code
        """The Reason Code of the CONNACK or DISCONNECT that ended it (MQTT 5, 2.4), if one came."""


class Refused(MqttsecError):
    """The other side understood a request and said no: a Reason Code of 0x80 or above."""

    def __init__(self, message: str, reason_code: int) -> None:
        super().__init__(message)
        self.reason_code = reason_code
        """The Reason Code of the SUBACK, UNSUBACK, PUBACK, PUBREC or PUBCOMP (MQTT 5, 2.4)."""


class TimedOut(MqttsecError):
    """An answer did not come in the time that was given for it."""


class ProtocolError(MqttsecError):
    """A packet that breaks a rule of the MQTT standard; its sender is at fault.

    `reason_code` is the byte that goes into the CONNACK or DISCONNECT (MQTT 5, 2.4 and 4.13).
    """

    def __init__(self, message: str, reason_code: int = 0x82) -> None:
        super().__init__(message)
        self.reason_code = reason_code
        """0x82 Protocol Error unless the standard names a more exact one."""


class MalformedPacketError(ProtocolError):
    """A packet that cannot be parsed according to the standard (MQTT 5, 1.2 Malformed Packet)."""

    def __init__(self, message: str, reason_code: int = 0x81) -> None:
        super().__init__(message, reason_code)


class AuthenticationError(MqttsecError):
    """An authentication that failed; `reason_code` says how (MQTT 5, 4.12)."""

    def __init__(self, message: str, reason_code: int = 0x87) -> None:
        super().__init__(message)
        self.reason_code = reason_code
        """0x87 Not authorized unless a more exact one applies."""


class HandshakeError(AuthenticationError):
    """A handshake of the schemes that cannot go on; an `AuthenticationError`, so that a broker refuses it.

    `party` and `step` say where: whoever knows them adds them on the way up with `at`.
    """

    def __init__(self, message: str, reason_code: int = 0x87, *, party: str = "", step: str = "") -> None:
        super().__init__(message, reason_code)
        self.party = party
        """Who found it out, if known."""
        self.step = step
        """In which step or part of the protocol, if known."""

    def at(self, party: str, step: str = "") -> HandshakeError:
        """This error, now with its place: `raise error.at("B", "step 6")`."""
        self.party, self.step = party, step
        return self

    def __str__(self) -> str:
        return _placed(self.party, self.step, super().__str__())


class TamperError(MqttsecError):
    """Something sealed does not open, or a tag does not fit: changed, cut, replayed or not for this key.

    One error for every cause: to tell them apart would help a forger more than a reader.
    `party` and `step` say where: whoever knows them adds them on the way up with `at`.
    """

    def __init__(self, message: str, *, party: str = "", step: str = "") -> None:
        super().__init__(message)
        self.party = party
        """Who found it out, if known."""
        self.step = step
        """In which step or part of the protocol, if known."""

    def at(self, party: str, step: str = "") -> TamperError:
        """This error, now with its place: `raise error.at("S1", "Block 3")`."""
        self.party, self.step = party, step
        return self

    def __str__(self) -> str:
        return _placed(self.party, self.step, super().__str__())


def _placed(party: str, step: str, message: str) -> str:
    place = ", ".join(part for part in (party, step) if part)
    return f"{place}: {message}" if place else message


class TraceError(MqttsecError):
    """A saved trace that cannot be read, or a view of a trace that cannot be made."""


class DeadlockError(MqttsecError):
    """Under the virtual clock nothing is left that could ever happen, yet something is awaited."""


class RuntimeStopped(MqttsecError):
    """The background thread that runs brokers and clients is not running any more."""
