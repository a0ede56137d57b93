"""The way of a subscription from one bridge broker to its public broker: drawn, told, given up, drawn anew.

A subscription is acknowledged to whom it came from when the upstream has acknowledged it, and so along the
whole path. The upstream is told, whenever that changes, for which subscriptions the path stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.errors import MqttsecError
from mqttsec.mqtta.branches import (
    Branch,
    Branches,
    PeerUpstream,
    PublicUpstream,
    Receiver,
    Sessions,
    Upstream,
)  # fmt: skip
from mqttsec.mqtta.drawing import Draw
from mqttsec.mqtta.errors import NoPeers, NoPublicBroker
from mqttsec.mqtta.exits import Exits
from mqttsec.mqtta.marks import marked, new_token, with_sessions
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.spreading import Spreading
from mqttsec.mqtta.topics import forwarding
from mqttsec.packets import NO_PROPERTIES, ReasonCode, SubscribeFilter

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker

_FAILED = int(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)


class Reaching:
    """The upstream side of all branches. `leave` takes a receiver out, `moved` is told of sessions taken."""

    def __init__(
        self,
        bridge: BridgeBroker,
        branches: Branches,
        spreading: Spreading,
        leave: Callable[[Receiver], None],
        moved: Callable[[Branch, str], None],
    ) -> None:
        self._bridge = bridge
        self._policies = bridge.policies
        self.branches = branches
        self._leave = leave
        self.exits = Exits(
            bridge, branches, spreading, granted=self._granted, refused=self._refused, moved=moved,
            broken=self.draw_anew,
        )  # fmt: skip
        """The sessions at public brokers."""

    # Where to ----------------------------------------------------------------------------------

    def draw(self, branch: Branch, again: bool = False) -> None:
        """Draw the next hop of a branch and subscribe there."""
        bridge = self._bridge
        if not bridge.running:
            return
        try:
            draw = bridge.draw(branch.first, branch.hops > 0)
        except NoPeers as error:
            self._failed(branch, error, _FAILED if branch.first else int(ReasonCode.UNSPECIFIED_ERROR))
            return
        if draw.peer is None:
            self._draw_exit(branch, draw, again)
            return
        token = new_token(bridge.rng)
        upstream = PeerUpstream(draw.peer, token)
        bridge.see(
            Direction.SUBSCRIBE, branch.previous, bridge.name_of(draw.peer), branch.actual, draw,
            branch.token, token, again=again,
        )  # fmt: skip
        self.branches.add_upstream(branch, upstream)
        branch.fresh |= again
        self._ask(branch, upstream, {"fresh": "1"} if branch.fresh else {})

    def _ask(self, branch: Branch, upstream: PeerUpstream, told: dict[str, str]) -> None:
        """Subscribe upstream, for all who are there now."""
        sessions = branch.told = branch.sessions
        wanted = SubscribeFilter(forwarding(branch.actual, branch.qos_class), branch.qos)
        properties = marked(NO_PROPERTIES, token=upstream.token, hops=str(branch.hops - 1), **told)
        shrinking = "lost" in told
        branch.shrinking += shrinking
        self._bridge.activity += 1
        self._bridge.peer_link(upstream.at).subscribe(
            wanted,
            with_sessions(properties, sessions, branch.kept),
            lambda code, said: self._answered(branch, upstream, sessions, shrinking, code, said),
        )

    def tell(self, branch: Branch, lost: bool = False) -> None:
        """Tell the upstream who is there now, if that has changed; `lost`: whoever is not, has not left."""
        upstream = branch.upstream
        if isinstance(upstream, PublicUpstream):
            self.exits.adjust(branch, lost)
        elif upstream is not None and branch.sessions != branch.told:
            self._ask(branch, upstream, {"fresh": "1", "lost": "1"} if lost else {"fresh": "1"})

    def _answered(
        self,
        branch: Branch,
        upstream: PeerUpstream,
        sessions: Sessions,
        shrinking: bool,
        code: int,
        said: bool,
    ) -> None:
        """The SUBACK of the next hop."""
        if upstream not in branch.upstreams:
            if code < 0x80:
                # Nobody wants it any more; the UNSUBSCRIBE could not go before the connection was there.
                self._unsubscribe_at(branch, upstream, lost=self.branches.is_open(branch))
            return
        if code < 0x80:
            if shrinking:
                branch.shrunk()
            self._granted(branch, frozenset(sessions))
        elif said and code != ReasonCode.UNSPECIFIED_ERROR:
            if shrinking:
                branch.shrunk()
            self._refused(branch, code)
        else:
            self.branches.remove_upstream(branch, upstream)
            branch.cut()
            self._bridge.avoid(upstream.at)
            branch.tries += 1
            if branch.tries < self._policies.attempts:
                self.draw(branch, again=True)
            else:
                why = NoPeers(f"{branch.tries} next hops did not take {branch.actual!r}")
                self._failed(branch, why, _FAILED)

    def answer(self, branch: Branch) -> None:
        """Tell those who wait for what the upstream has granted."""
        waiting, branch.waiting = branch.waiting, []
        for receiver, answer in waiting:
            if branch.granted.issuperset(branch.behind.get(receiver, ())):
                answer(0)
            else:
                branch.waiting.append((receiver, answer))

    def _granted(self, branch: Branch, sessions: frozenset[str]) -> None:
        branch.acknowledged = branch.established = True
        branch.tries = 0
        branch.granted |= sessions
        branch.kept |= sessions
        self.answer(branch)

    def _refused(self, branch: Branch, code: int) -> None:
        """The public broker does not grant this, or there is none: another way would not help."""
        why = NoPublicBroker(f"{branch.actual!r} cannot be subscribed to: Reason Code 0x{code:02X}")
        if not (branch.acknowledged and branch.waiting):
            self._failed(branch, why, code)
            return
        # The path stands: who has just joined is refused.
        self._bridge.complain(why, branch.previous)
        waiting, branch.waiting = branch.waiting, []
        for receiver, answer in waiting:
            kept = tuple(each for each in branch.behind.get(receiver, ()) if each in branch.granted)
            if kept:
                self.branches.receive(branch, receiver, branch.receivers[receiver], kept)
            else:
                self._drop_row(receiver)
                self._leave(receiver)
            answer(code)
        self.tell(branch)

    def _failed(self, branch: Branch, why: MqttsecError, code: int) -> None:
        """No way upstream was found: a new subscription is refused, an old one is tried again later."""
        self._bridge.complain(why, branch.previous)
        if not self.branches.is_open(branch):
            return
        self._cut(branch)
        if branch.established:
            branch.tries = 0
            self._bridge.later(self._policies.patience, lambda: self._draw_if_needed(branch))
            return
        for receiver in branch.receivers:
            self._drop_row(receiver)
        self.branches.close(branch)
        waiting, branch.waiting = branch.waiting, []
        for _, answer in waiting:
            answer(code)

    def _draw_if_needed(self, branch: Branch) -> None:
        if self.branches.is_open(branch) and not branch.upstreams:
            self.draw(branch, again=True)

    def _cut(self, branch: Branch) -> None:
        """Give the upstream up, but none of the sessions at the public broker."""
        for upstream in list(branch.upstreams):
            self.release(branch, upstream, lost=True)
        branch.cut()

    def draw_anew(self, branch: Branch) -> None:
        """Give the path up and draw another, which takes the sessions over."""
        self._cut(branch)
        self.draw(branch, again=True)

    def _drop_row(self, receiver: Receiver) -> None:
        session = self._bridge.broker.session(receiver.client_id)
        if receiver.local and session is not None:
            self._bridge.broker.router.unsubscribe(session, receiver.name)

    # The last bridge broker --------------------------------------------------------------------

    def _draw_exit(self, branch: Branch, draw: Draw, again: bool) -> None:
        at = self._bridge.directory.public_broker(branch.actual)
        if at is not None:
            self.attach(branch, draw, at, again)
            return
        task = asyncio.get_running_loop().create_task(self._attach_new(branch, draw, again))
        self._bridge.keep_task(task)

    async def _attach_new(self, branch: Branch, draw: Draw, again: bool) -> None:
        try:
            at = await self._bridge.host_new_topic(branch.actual)
        except MqttsecError as error:
            self._failed(branch, error, _FAILED)
        else:
            if self.branches.is_open(branch) and not branch.upstreams:
                self.attach(branch, draw, at, again)

    def attach(self, branch: Branch, draw: Draw, at: At, again: bool) -> None:
        """This is the last bridge broker: subscribe at the public broker."""
        bridge = self._bridge
        bridge.see(
            Direction.SUBSCRIBE, branch.previous, bridge.name_of(at), branch.actual, draw, branch.token, "",
            again=again,
        )  # fmt: skip
        self.exits.attach(branch, at)

    # Giving it up -----------------------------------------------------------------------------

    def release(self, branch: Branch, upstream: Upstream, lost: bool) -> None:
        """Ask for nothing more there; `lost`: whoever is on the branch has not left, sessions are kept."""
        self.branches.remove_upstream(branch, upstream)
        if isinstance(upstream, PeerUpstream):
            self._unsubscribe_at(branch, upstream, lost)
        elif self._policies.is_published:
            self._bridge.public_link(upstream.at).unsubscribe(branch.actual, NO_PROPERTIES)
        else:
            self.exits.release(branch, lost)

    def _unsubscribe_at(self, branch: Branch, upstream: PeerUpstream, lost: bool) -> None:
        link = self._bridge.known_link(upstream.at)
        if link is None:
            return
        told = {} if self._policies.is_published else {"token": upstream.token}
        if lost:
            told["lost"] = "1"
        link.unsubscribe(forwarding(branch.actual, branch.qos_class), marked(NO_PROPERTIES, **told))
