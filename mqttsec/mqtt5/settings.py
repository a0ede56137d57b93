"""What can be set about the broker: limits of MQTT 5 that it announces, and bounds on its memory."""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.packets import check_topic_name
from mqttsec.packets.wire import check_text

NEVER = 0xFFFF_FFFF
"""Session Expiry Interval of a session that does not expire (MQTT 5, 3.1.2.11.2)."""


@dataclass(frozen=True)
class BrokerSettings:
    """Settings of one broker. Each limit that MQTT 5 can announce is announced in CONNACK."""

    name: str = "broker"
    """The broker's name in traces."""
    maximum_qos: int = 2
    """Highest QoS (CONNACK Maximum QoS)."""
    retain_available: bool = True
    """False refuses retained messages (CONNACK Retain Available)."""
    wildcard_subscription_available: bool = True
    """False refuses wildcards in Topic Filters."""
    subscription_identifier_available: bool = True
    """False refuses Subscription Identifiers."""
    shared_subscription_available: bool = True
    """False refuses `$share/...`."""
    receive_maximum: int = 1024
    """Unfinished QoS 1 and 2 publications taken from one client at a time."""
    topic_alias_maximum: int = 10
    """Topic Aliases that one client may use; 0: none. Also bounds the aliases used towards clients."""
    maximum_packet_size: int = 16 * 1024 * 1024
    """Largest packet in bytes taken from a client."""
    server_keep_alive: int | None = None
    """Keep Alive in seconds imposed on every client; None leaves it to the client."""
    response_information: str | None = None
    """Where clients that ask for Response Information shall wait for answers: they are told this, "/" and
    their Client Identifier (3.2.2.3.15). None: no client is told any."""
    server_reference: str | None = None
    """Another broker, as host:port. A client is told to use it (0x9C Use another server) where no more
    sessions are kept here, and when this broker shuts down (3.2.2.3.16, 3.14.2.2.5). None: 0x97, 0x8B."""
    maximum_session_expiry: int = NEVER
    """Longest Session Expiry Interval granted, in seconds."""
    connect_timeout: float = 10.0
    """Seconds that a connection may take until its CONNECT is complete and the plugins have decided on it;
    with enhanced authentication, seconds for each round."""
    authentication_timeout: float = 120.0
    """Seconds that an enhanced authentication may take, all its rounds together and what the method itself
    waits for. After them the client is refused, with 0x88 before its CONNACK, else with 0x87."""
    close_timeout: float = 1.0
    """Seconds that a peer is given to take the last packet before its connection is cut."""
    max_connections: int = 10_000
    """Network connections at the same time."""
    max_sessions: int = 100_000
    """Sessions, connected or waiting; past it a client without one is refused with 0x97."""
    max_subscriptions: int = 10_000
    """Subscriptions of one session; more are refused with 0x97."""
    max_topic_levels: int = 200
    """Levels of a Topic Filter; one with more is refused with 0x8F. Each costs memory."""
    max_inflight: int = 1024
    """Unacknowledged QoS 1 and 2 messages sent to one client, below what its Receive Maximum allows."""
    max_queued_messages: int = 20_000
    """Messages that wait for one session. A connected client above it is cut off with 0x97; for one that
    is away the newest message is dropped, as mosquitto does."""
    max_queued_bytes: int = 64 * 1024 * 1024
    """The same bound in payload bytes."""
    max_write_buffer: int = 32 * 1024 * 1024
    """Bytes that wait for one client's network; above it the client is cut off with 0x97."""
    max_retained_messages: int = 100_000
    """Retained messages; past it a new one is refused with 0x97."""
    max_retained_bytes: int = 256 * 1024 * 1024
    """The same bound in payload bytes."""
    allow_anonymous: bool = True
    """Without an amqtt authentication plugin: accept clients that show no credentials."""
    require_client_certificate: bool = False
    """TLS listeners: end the handshake with a client that shows no certificate of the listener's CA."""
    seed: int | None = None
    """Makes assigned Client Identifiers the same in every run; None draws them at random."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises `ConfigurationError`.
        """
        for name in ("name", "response_information", "server_reference"):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name == "name"):
                raise ConfigurationError(f"{name}={value!r} cannot be; give a text")
        for name in (
            "retain_available",
            "wildcard_subscription_available",
            "subscription_identifier_available",
            "shared_subscription_available",
            "allow_anonymous",
            "require_client_certificate",
        ):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name}={getattr(self, name)!r} cannot be; choose True or False")
        if self.seed is not None and not _is_number(self.seed, whole=True):
            raise ConfigurationError(f"seed={self.seed!r} cannot be; give a whole number, or None")
        bounds = {
            "maximum_qos": (0, 2),
            "receive_maximum": (1, 65_535),
            "topic_alias_maximum": (0, 65_535),
            "maximum_packet_size": (64, 268_435_460),
            "maximum_session_expiry": (0, NEVER),
            "max_inflight": (1, 65_535),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not _is_number(value, whole=True) or not low <= value <= high:
                raise ConfigurationError(f"{name}={value!r} cannot be; choose {low} to {high}")
        for name in (
            "connect_timeout",
            "authentication_timeout",
            "close_timeout",
            "max_connections",
            "max_sessions",
            "max_subscriptions",
            "max_topic_levels",
            "max_queued_messages",
            "max_queued_bytes",
            "max_write_buffer",
            "max_retained_messages",
            "max_retained_bytes",
        ):
            value = getattr(self, name)
            if not _is_number(value) or not value > 0:
                raise ConfigurationError(f"{name}={value!r} cannot be; choose a number above 0")
        keep_alive = self.server_keep_alive
        if keep_alive is not None and not (_is_number(keep_alive, whole=True) and 1 <= keep_alive <= 65_535):
            raise ConfigurationError("server_keep_alive is 1 to 65,535 seconds, or None")
        self._check_response_information()

    def _check_response_information(self) -> None:
        if self.response_information is not None:
            try:
                check_topic_name(check_text(self.response_information))
            except MalformedPacketError as error:
                raise ConfigurationError(
                    f"response_information={self.response_information!r} begins no topic: {error}"
                ) from None
        if self.server_reference is not None and not self.server_reference.isprintable():
            raise ConfigurationError(f"server_reference={self.server_reference!r} is not text like host:port")


def _is_number(value: object, whole: bool = False) -> bool:
    """True for an int, or a float unless it has to be `whole`; True and False are no numbers here."""
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
