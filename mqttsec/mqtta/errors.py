"""What can go wrong in the forwarding network, besides what can go wrong with any broker."""

from __future__ import annotations

from mqttsec.errors import MqttsecError


class NoPeers(MqttsecError):
    """A bridge broker knows no other one (that answers): it cannot hide anybody."""


class NoPublicBroker(MqttsecError):
    """No public broker hosts a topic, none is known for new topics, or the one that hosts it is not there."""
