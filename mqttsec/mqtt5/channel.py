"""Where a security scheme takes hold of the broker: a channel per connection.

The broker knows no scheme. A session may be given a `Channel`; then every message that its client
publishes passes `inbound` before it is routed, and every message for its client passes `outbound`
before it is encoded: at once, when it is retained or has waited, and when it is sent again. A Will
Message, which comes with the CONNECT before there is a channel, does not pass `inbound`.

A channel may also have a method `alike(topic)`: channels that return the same thing other than None make
the same of every message on that Topic Name, and `outbound` of one of them serves all. The answer is asked
for once a route: `Router.forget()` says that it has changed.

Where every client gets a copy of its own, channels may have a `series` in common. It makes the copies of one
message one after the other: each is with its connection before the next is begun.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol

from mqttsec.packets import Properties


class Channel(Protocol):
    """Transforms the Application Messages of one connection."""

    def inbound(self, topic: str, payload: bytes, properties: Properties) -> tuple[bytes, Properties]:
        """Return (payload, properties) to route for a message that the client published.

        Raises `MqttsecError` to refuse it: it is not routed, and the client gets 0x83 or the error's
        own Reason Code in PUBACK or PUBREC.
        """

    def outbound(
        self, topic: str, payload: bytes, properties: Properties, shared: dict[Any, Any]
    ) -> tuple[bytes, Properties]:
        """Return (payload, properties) to send to the client.

        `shared` belongs to this one message and is the same for all its receivers: what is equal for
        many of them (a group key's ciphertext) is computed once and kept there.
        """


Series = Callable[[str, bytes, dict[Any, Any], Sequence[str]], Iterator[bytes | None]]
"""Takes (topic, payload, shared, Client Identifiers); yields what `outbound` makes of the payload for each of
these clients, None where it refuses. Properties pass as they are."""


def series_of(channel: Channel) -> Series | None:
    """What makes the copies of this channel and of others; None: `outbound` does."""
    made: Series | None = getattr(channel, "series", None)
    return made


def kinship(channel: Channel, topic: str) -> Hashable | None:
    """What `alike(topic)` of a channel says; None: it has no such method, or its messages are its own."""
    alike = getattr(channel, "alike", None)
    return None if alike is None else alike(topic)
