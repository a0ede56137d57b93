"""What a Server's CONNACK tells a Client about the Server's limits, and how it puts a refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mqttsec.errors import ConfigurationError, ConnectionFailed, ProtocolError
from mqttsec.packets import (
    Connack,
    ConnectReturnCode,
    Publish,
    ReasonCode,
    encode,
    reason_name,
)

_ALIAS_BYTES = 3
"""What the property Topic Alias adds to a PUBLISH."""


@dataclass(frozen=True)
class Granted:
    """The Server's limits for one connection (3.2.2.3)."""

    send_maximum: int = 65_535
    """QoS 1 and 2 messages that it takes at the same time: its Receive Maximum."""
    maximum_qos: int = 2
    """The highest QoS that it takes."""
    retain: bool = True
    """Whether it keeps retained messages."""
    largest_packet: int | None = None
    """Its Maximum Packet Size in bytes; None: no limit beyond the protocol's."""
    topic_aliases: int = 0
    """The highest Topic Alias that it takes; 0: none."""

    @classmethod
    def by(cls, connack: Connack) -> Granted:
        """The limits that `connack` names; what it leaves out has the standard's default."""
        named = connack.properties
        return cls(
            send_maximum=named.receive_maximum or 65_535,
            maximum_qos=2 if named.maximum_qos is None else named.maximum_qos,
            retain=named.retain_available != 0,
            largest_packet=named.maximum_packet_size,
            topic_aliases=named.topic_alias_maximum or 0,
        )

    def check(self, publish: Publish, protocol: int) -> None:
        """Raise `ProtocolError` for a message that the Server, or any server, would not take.

        Topic Aliases are the client's own business: `ConfigurationError` for a message that brings one.
        """
        if publish.properties.topic_alias is not None:
            raise ConfigurationError(
                "Topic Aliases are set by the client itself: make it with topic_aliases=True"
            )
        size = len(encode(replace(publish, packet_id=1) if publish.qos else publish, protocol))
        self.check_limits(size + (_ALIAS_BYTES if self.topic_aliases else 0), publish.qos, publish.retain)

    def check_limits(self, size: int, qos: int, retain: bool) -> None:
        """Raise `ProtocolError` for a PUBLISH of `size` bytes that this Server would not take."""
        # [MQTT-3.2.2-15] "The Client MUST NOT send packets exceeding Maximum Packet Size to the Server."
        if self.largest_packet is not None and size > self.largest_packet:
            raise ProtocolError(
                f"a PUBLISH of {size} bytes is above the Server's Maximum Packet Size of "
                f"{self.largest_packet}: send less at a time",
                ReasonCode.PACKET_TOO_LARGE,
            )
        # [MQTT-3.2.2-11] "If a Client receives a Maximum QoS from a Server, it MUST NOT send PUBLISH packets
        # at a QoS level exceeding the Maximum QoS level specified."
        if qos > self.maximum_qos:
            raise ProtocolError(
                f"the Server takes QoS {self.maximum_qos} at most", ReasonCode.QOS_NOT_SUPPORTED
            )
        # [MQTT-3.2.2-14] "A Client receiving Retain Available set to 0 from the Server MUST NOT send a
        # PUBLISH packet with the RETAIN flag set to 1."
        if retain and not self.retain:
            raise ProtocolError("the Server keeps no retained messages", ReasonCode.RETAIN_NOT_SUPPORTED)


def refusal(party: str, connack: Connack, protocol: int) -> ConnectionFailed:
    """The error for a CONNACK that says no, with the Server's reason in it."""
    code = connack.reason_code
    if protocol >= 5:
        said = reason_name(code)
    elif code in ConnectReturnCode._value2member_map_:
        said = f"{code} {ConnectReturnCode(code).name.replace('_', ' ').capitalize()}"
    else:
        said = str(code)
    reason = connack.properties.reason_string
    return ConnectionFailed(
        f"{party}: the Server refused the connection with {said}" + (f": {reason}" if reason else ""), code
    )
