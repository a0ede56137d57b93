"""The table of a bridge broker's subscriptions: from whom, to whom. Pure: nothing is sent here.

A `Branch` is the part of a subscription's path that this broker holds: receivers downstream, at most one
upstream. Where later subscriptions have joined, a receiver stands for one or more of them, each known by its
session at the public broker. In the published form a branch is all that is known of a topic, and may have
several upstreams; that is where cycles come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mqttsec.mqtta.notices import At


class Receiver(NamedTuple):
    """A client or bridge broker downstream, as the connection and its SUBSCRIBE show it."""

    client_id: str
    """Client Identifier of its session here."""
    name: str
    """Its token; of a client, and in the published form, the Topic Filter."""
    local: bool
    """True for a client, False for a bridge broker."""


class PeerUpstream(NamedTuple):
    """Another bridge broker, where this one has subscribed."""

    at: At
    """Which one."""
    token: str
    """The token that it was told; in the published form T_A."""


class PublicUpstream(NamedTuple):
    """A public broker: this is the last bridge broker of the path."""

    at: At
    """Which one."""


Sessions = tuple[str, ...]
"""Subscriptions by the Client Identifiers of their sessions at the public broker.

An empty one stands for any number of subscriptions at QoS 0, for which no session has to outlive anything."""


Upstream = PeerUpstream | PublicUpstream


@dataclass(eq=False)
class Branch:
    """One row of the table."""

    number: int
    """1, 2, 3, ... in the order of opening."""
    actual: str
    """T_A."""
    qos_class: int | None
    """Class of QoS, where topics have classes."""
    first: bool
    """True at the first bridge broker of the path: it forwards without a draw."""
    hops: int
    """Bridge brokers that may still be passed."""
    token: str
    """The token that opened it; empty at the first bridge broker."""
    previous: str
    """Who opened it."""
    qos: int = 0
    """QoS at which the upstream is asked; no receiver has a higher one."""
    fresh: bool = False
    """True on a path drawn anew: it takes sessions over, and joins no other on its way to them."""
    receivers: dict[Receiver, int] = field(default_factory=dict)
    """QoS of each receiver."""
    behind: dict[Receiver, Sessions] = field(default_factory=dict)
    """The subscriptions that each receiver stands for."""
    upstreams: list[Upstream] = field(default_factory=list)
    """Where messages come from."""
    acknowledged: bool = False
    """True once the upstream acknowledged the subscription."""
    established: bool = False
    """True once any upstream has: from then on it is drawn anew when it breaks, never refused."""
    told: Sessions = ()
    """The subscriptions that the upstream was told of last."""
    granted: frozenset[str] = frozenset()
    """Those that it has acknowledged."""
    kept: frozenset[str] = frozenset()
    """Those that any upstream has ever acknowledged."""
    waiting: list[tuple[Receiver, Callable[[int], None]]] = field(default_factory=list)
    """Who is told the Reason Code when it is known (0 to 2 granted)."""
    tries: int = 0
    """Next hops that were tried without success since the last one that worked."""
    shrinking: int = 0
    """Times that the upstream was told of lost subscriptions and has not answered yet."""
    unsettled: list[Callable[[], None]] = field(default_factory=list)
    """Acknowledgements that wait for these answers."""

    @property
    def sessions(self) -> Sessions:
        """All subscriptions, in the order in which they came."""
        return tuple(dict.fromkeys(session for each in self.behind.values() for session in each))

    def settle(self, acknowledge: Callable[[], None]) -> None:
        """Acknowledge a message upstream: not before it is known there who will not get it from here.

        Else it would be taken from the session of a subscription whose path has just broken.
        """
        if self.shrinking:
            self.unsettled.append(acknowledge)
        else:
            acknowledge()

    def shrunk(self) -> None:
        """The upstream knows."""
        self.shrinking -= 1
        if not self.shrinking:
            unsettled, self.unsettled = self.unsettled, []
            for acknowledge in unsettled:
                acknowledge()

    def cut(self) -> None:
        """Nothing comes from the upstream any more, and nothing that it asked or said counts."""
        self.acknowledged, self.granted, self.told = False, frozenset(), ()
        self.shrinking, self.unsettled = 0, []

    @property
    def upstream(self) -> Upstream | None:
        """The only upstream of the mended form."""
        return self.upstreams[0] if self.upstreams else None


class Branches:
    """All branches of one bridge broker."""

    def __init__(self) -> None:
        self._count = 0
        self._by_receiver: dict[Receiver, Branch] = {}
        self._by_upstream: dict[PeerUpstream, Branch] = {}
        self._by_topic: dict[str, list[Branch]] = {}

    def __iter__(self) -> Iterator[Branch]:
        for branches in list(self._by_topic.values()):
            yield from list(branches)

    def __len__(self) -> int:
        return sum(map(len, self._by_topic.values()))

    def open(
        self,
        actual: str,
        qos_class: int | None,
        qos: int,
        *,
        first: bool,
        token: str,
        previous: str,
        hops: int = 0,
        fresh: bool = False,
    ) -> Branch:
        """A new branch without receivers and upstream."""
        self._count += 1
        branch = Branch(self._count, actual, qos_class, first, hops, token, previous, qos, fresh)
        self._by_topic.setdefault(actual, []).append(branch)
        return branch

    def of_topic(self, actual: str) -> list[Branch]:
        """The branches of a topic, oldest first."""
        return self._by_topic.get(actual, [])

    def joinable(self, actual: str, qos_class: int | None, qos: int) -> Branch | None:
        """A branch that a later subscription may join: one whose upstream has acknowledged that QoS.

        Joining one that still waits could make a circle of waiting brokers.
        """
        for branch in self.of_topic(actual):
            if branch.qos_class == qos_class and branch.acknowledged and branch.qos >= qos:
                return branch
        return None

    def receive(self, branch: Branch, receiver: Receiver, qos: int, sessions: Sessions = ()) -> None:
        """Enter a receiver, or change it; one that was entered elsewhere must have left before."""
        branch.receivers[receiver] = qos
        branch.behind[receiver] = sessions
        self._by_receiver[receiver] = branch

    def of_receiver(self, receiver: Receiver) -> Branch | None:
        """The branch of a receiver."""
        return self._by_receiver.get(receiver)

    def receivers_of(self, client_id: str) -> list[Receiver]:
        """All receivers of a session."""
        return [receiver for receiver in self._by_receiver if receiver.client_id == client_id]

    def leave(self, receiver: Receiver) -> Branch | None:
        """Take a receiver out. Gives its branch if that has nobody left; it is closed then."""
        branch = self._by_receiver.pop(receiver, None)
        if branch is None:
            return None
        branch.receivers.pop(receiver, None)
        branch.behind.pop(receiver, None)
        if branch.receivers:
            return None
        self.close(branch)
        return branch

    def close(self, branch: Branch) -> None:
        """Forget a branch, receivers and upstreams; the caller releases the upstreams."""
        for receiver in branch.receivers:
            self._by_receiver.pop(receiver, None)
        for upstream in branch.upstreams:
            if isinstance(upstream, PeerUpstream):
                self._by_upstream.pop(upstream, None)
        branches = self._by_topic.get(branch.actual, [])
        if branch in branches:
            branches.remove(branch)
        if not branches:
            self._by_topic.pop(branch.actual, None)

    def is_open(self, branch: Branch) -> bool:
        """Whether a branch is still in the table."""
        return branch in self._by_topic.get(branch.actual, ())

    def add_upstream(self, branch: Branch, upstream: Upstream) -> None:
        """Messages of a branch come from there."""
        if upstream not in branch.upstreams:
            branch.upstreams.append(upstream)
        if isinstance(upstream, PeerUpstream):
            self._by_upstream[upstream] = branch

    def remove_upstream(self, branch: Branch, upstream: Upstream) -> None:
        """No more."""
        if upstream in branch.upstreams:
            branch.upstreams.remove(upstream)
        if isinstance(upstream, PeerUpstream):
            self._by_upstream.pop(upstream, None)

    def of_upstream(self, upstream: PeerUpstream) -> Branch | None:
        """The branch that a bridge broker upstream serves."""
        return self._by_upstream.get(upstream)

    def through(self, at: At) -> list[tuple[Branch, PeerUpstream]]:
        """The branches with an upstream at a bridge broker."""
        return [(branch, upstream) for upstream, branch in self._by_upstream.items() if upstream.at == at]
