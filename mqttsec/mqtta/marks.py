"""What bridge brokers tell each other beside a message: User Properties of standard MQTT 5 packets.

Clients and public brokers need not know them. A bridge broker takes them off what it hands to its own
clients, and off what its clients send; the message's own properties pass unchanged.
"""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import blake2b

from mqttsec.packets import NO_PROPERTIES, Properties

PREFIX = "mqtta-"
DERIVED = "~"
"""Begins the number of a message that was derived."""
BRIDGE = PREFIX + "bridge"
"""In a CONNECT: the name of the bridge broker that connects."""
MESSAGE = PREFIX + "id"
"""In a PUBLISH: a random number that stays with the message, by which it is known when it comes twice."""
TOKEN = PREFIX + "token"
"""In a SUBSCRIBE, and in the messages that come back: which subscription, between these two brokers only."""
LABEL = PREFIX + "path"
"""In a PUBLISH on a sticky path: which path, between these two brokers only."""
HOPS = PREFIX + "hops"
"""In a SUBSCRIBE: how many bridge brokers it may still pass."""
SESSION = PREFIX + "session"
"""In a SUBSCRIBE: the Client Identifier to use at the public broker, so that a path drawn anew takes the
session over with all that has not been acknowledged; once for each subscription that goes this way. In a
message that comes back: the one subscription that it is for; without it it is for all."""
KEPT = PREFIX + "kept"
"""In a SUBSCRIBE: the same, of a session that has been granted before: it has its subscription already."""
MOVED = PREFIX + "moved"
"""In a message that comes back, and is none: this subscription is served from elsewhere now."""
FRESH = PREFIX + "fresh"
"""In a SUBSCRIBE that replaces a broken path, all the way: do not join it to another subscription's path.
That one may have had what still waits for this one; and it might lead back here."""
PACKET = PREFIX + "packet"
"""In a SUBSCRIBE of the published form: the Packet Identifier that the loop rule goes by."""
AGAIN = PREFIX + "again"
"""In a message that comes back: the public broker sent it again (DUP), it may have come before."""
CROSSING = PREFIX + "crossing"
"""In a message that comes back: published where its path crossed the subscription's, not in public."""
LOST = PREFIX + "lost"
"""In an UNSUBSCRIBE: the subscriber has not left, its path is broken; the session is to be kept."""


def marks(properties: Properties) -> dict[str, str]:
    """The marks among the User Properties of a packet."""
    return {name: value for name, value in properties.user_property if name.startswith(PREFIX)}


def unmarked(properties: Properties) -> Properties:
    """The properties without marks."""
    kept = tuple(pair for pair in properties.user_property if not pair[0].startswith(PREFIX))
    return (
        properties if len(kept) == len(properties.user_property) else replace(properties, user_property=kept)
    )


def marked(properties: Properties, **names: str) -> Properties:
    """The properties with other marks; `names` are those above without prefix (`token="..."`)."""
    kept = tuple(pair for pair in properties.user_property if not pair[0].startswith(PREFIX))
    pairs = kept + tuple((PREFIX + name, value) for name, value in names.items())
    if properties is NO_PROPERTIES:
        return Properties(user_property=pairs)
    return replace(properties, user_property=pairs)


def with_sessions(properties: Properties, sessions: tuple[str, ...], kept: frozenset[str]) -> Properties:
    """The properties with a mark `SESSION` or `KEPT` for each subscription."""
    named = tuple((KEPT if each in kept else SESSION, each) for each in sessions)
    return replace(properties, user_property=properties.user_property + named)


def sessions_in(properties: Properties) -> tuple[str, ...]:
    """The subscriptions that a SUBSCRIBE names."""
    return tuple(value for name, value in properties.user_property if name in (SESSION, KEPT))


def kept_in(properties: Properties) -> frozenset[str]:
    """Those of them that have been granted before."""
    return frozenset(value for name, value in properties.user_property if name == KEPT)


def new_token(rng: random.Random) -> str:
    """A token that nobody guesses: 128 random bits."""
    return f"{rng.getrandbits(128):032x}"


def derived_id(session: str, packet_id: int, topic: str, payload: bytes) -> str:
    """A number for a message that was not published through the network, and so has none.

    The same when the public broker sends it again to whoever took the session over. A broker may use a Packet
    Identifier again at once, so the same number is the same message only with `AGAIN`.
    """
    what = f"{session} {packet_id} {topic} ".encode() + payload
    return DERIVED + blake2b(what, digest_size=8).hexdigest()


def new_message_id(rng: random.Random) -> str:
    """A number of 64 random bits for a message."""
    return f"{rng.getrandbits(64):016x}"
