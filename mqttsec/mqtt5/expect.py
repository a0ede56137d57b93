"""What the broker expects next on a connection."""

from __future__ import annotations

import enum


class Expect(enum.Enum):
    """The states of a network connection, named by what may come next (3.1.0, 4.12)."""

    CONNECT = "a CONNECT"
    AUTHENTICATION = "AUTH packets, or that a plugin decides"
    PACKETS = "anything that a connected client may send"
    NOTHING = "that the client closes"
