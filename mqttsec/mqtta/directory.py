"""Whom a bridge broker asks for its peers and for the public broker of a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from mqttsec.mqtta.notices import At


class Directory(Protocol):
    """What `DiscoveryClient` does, as far as a bridge broker needs it."""

    on_topic: Callable[[str, At | None], None] | None
    """Called when a topic gets another public broker; None: it has none any more."""
    on_peer: Callable[[At, bool], None] | None
    """Called when a bridge broker comes (True) or goes."""

    @property
    def topics(self) -> Mapping[str, At]:
        """S: the public broker of each topic."""

    @property
    def peers(self) -> tuple[At, ...]:
        """S': the other bridge brokers."""

    def public_broker(self, topic: str) -> At | None:
        """The public broker of a topic, if one is known."""

    async def start(self, own: At | None = None) -> Any:
        """Join, and say where one is."""

    async def stop(self) -> None:
        """Leave."""

    async def announce(self, topic: str, at: At) -> At:
        """Announce that a public broker hosts a topic; gives the one that stands."""


class StaticDirectory:
    """A directory that was written down before; all bridge brokers may share `topics`."""

    def __init__(self, peers: Iterable[At] = (), topics: dict[str, At] | None = None) -> None:
        self.everybody = list(peers)
        """All bridge brokers; may be changed, then call `changed`."""
        self._topics = {} if topics is None else topics
        self.own: At | None = None
        """The bridge broker's own address."""
        self.on_topic: Callable[[str, At | None], None] | None = None
        self.on_peer: Callable[[At, bool], None] | None = None
        self._peers: tuple[At, ...] | None = None

    @property
    def topics(self) -> Mapping[str, At]:
        """S."""
        return self._topics

    @property
    def peers(self) -> tuple[At, ...]:
        """S' without oneself."""
        if self._peers is None:
            self._peers = tuple(at for at in self.everybody if at != self.own)
        return self._peers

    def public_broker(self, topic: str) -> At | None:
        """The public broker of a topic, if one is known."""
        return self._topics.get(topic)

    def changed(self) -> None:
        """The list of bridge brokers has changed."""
        self._peers = None

    async def start(self, own: At | None = None) -> StaticDirectory:
        """Know oneself."""
        self.own = own
        self._peers = None
        return self

    async def stop(self) -> None:
        """Nothing to leave."""

    async def announce(self, topic: str, at: At) -> At:
        """Enter a topic; the first pair stands."""
        return self._topics.setdefault(topic, at)
