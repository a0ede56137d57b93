"""Subscriptions through one bridge broker: who comes, who joins whom, who leaves (Buccafurri, III, V).

One `Branch` a subscription, known by a token that is new at every hop; later ones may join it, and are told
of along its path. `reaching` is the way upstream, `exits` its end at the public broker, `spreading` what
becomes of the messages that come back, `published` has the paper's rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.errors import MalformedPacketError
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.mqtta.branches import Branch, Branches, PeerUpstream, PublicUpstream, Receiver, Sessions
from mqttsec.mqtta.drawing import Decision, Draw
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import FRESH, HOPS, LOST, MOVED, TOKEN, kept_in, marks, new_token, sessions_in
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.published import PublishedForm
from mqttsec.mqtta.reaching import Reaching
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.spreading import Spreading
from mqttsec.mqtta.topics import read_forwarding
from mqttsec.packets import Properties, Publish, ReasonCode, SubscribeFilter

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker

_FAILED = int(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)


class Returning:
    """The subscribe side of a bridge broker."""

    def __init__(self, bridge: BridgeBroker) -> None:
        self._bridge = bridge
        self._policies = bridge.policies
        self.branches = Branches()
        """The subscriptions that go through here."""
        self.spreading = Spreading(bridge, self.branches, self._leave)
        """What becomes of messages that come back."""
        self.reaching = Reaching(bridge, self.branches, self.spreading, self._leave, self._moved)
        """The way upstream."""
        self.published = PublishedForm(bridge, self.branches, self.spreading)
        """The rules of the published form."""

    # A client or bridge broker subscribes ------------------------------------------------------

    def subscribe(
        self, session: Session, wanted: SubscribeFilter, properties: Properties, answer: Callable[[int], None]
    ) -> None:
        """Somebody subscribes under T_F; `answer` gets the Reason Code when the upstream gave one."""
        bridge, policies = self._bridge, self._policies
        try:
            actual, qos_class = read_forwarding(wanted.topic_filter, policies.by_class)
        except MalformedPacketError:
            wild = "+" in wanted.topic_filter or "#" in wanted.topic_filter
            answer(
                ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED if wild else ReasonCode.TOPIC_FILTER_INVALID
            )
            return
        origin = bridge.origin(session)
        told = marks(properties) if origin is not None else {}
        if policies.by_class and qos_class is None:
            qos_class = wanted.qos
        if origin is None:
            receiver = Receiver(session.client_id, wanted.topic_filter, True)
            self._enter_row(session, wanted, properties)
        else:
            name = wanted.topic_filter if policies.is_published else told.get(TOKEN, "")
            receiver = Receiver(session.client_id, name, False)
            session.outbox.heard = self.spreading.heard
            if not name:
                answer(_FAILED)
                return
        previous = session.client_id if origin is None else origin
        if policies.is_published:
            self.published.subscribe(receiver, actual, qos_class, wanted.qos, told, previous, answer)
            return
        sessions = sessions_in(properties) if origin is not None else ()
        known = self.branches.of_receiver(receiver)
        if known is not None:
            if wanted.qos <= known.qos and known.qos_class == qos_class:
                if not sessions and (not wanted.qos or any(known.behind[receiver])):
                    sessions = known.behind[receiver]
                sessions = sessions or self._new_sessions(wanted.qos)
                self._receive(known, receiver, wanted.qos, sessions, answer, lost=LOST in told)
                return
            self._leave(receiver)
        sessions = sessions or self._new_sessions(wanted.qos)
        if policies.joins(qos_class) and FRESH not in told:
            joined = self.branches.joinable(actual, qos_class, wanted.qos)
            if joined is not None:
                bridge.see(
                    Direction.SUBSCRIBE, previous, "", actual, Draw(Decision.JOINED, None, None),
                    told.get(TOKEN, ""),
                )  # fmt: skip
                self._receive(joined, receiver, wanted.qos, sessions, answer)
                return
        limit = policies.hop_limit
        hops = told.get(HOPS, "")
        branch = self.branches.open(
            actual, qos_class, wanted.qos, first=origin is None, token=told.get(TOKEN, ""), previous=previous,
            hops=min(int(hops), 2 * limit) if hops.isdigit() else bridge.rng.randrange(limit, 2 * limit),
            fresh=FRESH in told,
        )  # fmt: skip
        branch.kept = kept_in(properties) if origin is not None else frozenset()
        self._enter(branch, receiver, wanted.qos, sessions, answer)
        self.reaching.draw(branch)

    def _receive(
        self,
        branch: Branch,
        receiver: Receiver,
        qos: int,
        sessions: Sessions,
        answer: Callable[[int], None],
        lost: bool = False,
    ) -> None:
        """Somebody joins a branch, or changes what he has there: the upstream is told who is there now."""
        self._enter(branch, receiver, qos, sessions, answer)
        self.reaching.tell(branch, lost)
        self.reaching.answer(branch)

    def _enter(
        self,
        branch: Branch,
        receiver: Receiver,
        qos: int,
        sessions: Sessions,
        answer: Callable[[int], None],
    ) -> None:
        self.branches.receive(branch, receiver, qos, sessions)
        branch.waiting.append((receiver, lambda code: answer(qos if code < 0x80 else code)))

    def _enter_row(self, session: Session, wanted: SubscribeFilter, properties: Properties) -> None:
        # The broker's own table knows the client's subscription; messages come to it by branches.
        identifiers = properties.subscription_identifier
        self._bridge.broker.router.subscribe(
            Subscription(
                wanted.topic_filter, session, wanted.qos, identifier=identifiers[0] if identifiers else None
            )
        )

    def _new_sessions(self, qos: int) -> Sessions:
        return (new_token(self._bridge.rng),) if qos else ("",)

    # Messages come back ------------------------------------------------------------------------

    def from_peer(self, link: Link, message: Publish) -> None:
        """A message from a bridge broker upstream."""
        told = marks(message.properties)
        if self._policies.is_published:
            self.published.from_peer(link, message)
            return
        branch = self.branches.of_upstream(PeerUpstream(link.at, told.get(TOKEN, "")))
        if branch is None:
            # A subscription that nobody wants any more: its sender may forget it.
            link.acknowledge(message, _FAILED)
            return
        if MOVED in told:
            link.acknowledge(message)
            self._moved(branch, told[MOVED])
            return
        self.spreading.come_back(branch, message, told, self._bridge.name_of(link.at), link)

    # Leaving -----------------------------------------------------------------------------------

    def unsubscribe(self, session: Session, topic_filter: str, properties: Properties) -> int:
        """Somebody gives a subscription up; gives the Reason Code."""
        bridge = self._bridge
        if bridge.origin(session) is None:
            existed = bridge.broker.router.unsubscribe(session, topic_filter)
            self._leave(Receiver(session.client_id, topic_filter, True))
            return ReasonCode.SUCCESS if existed else ReasonCode.NO_SUBSCRIPTION_EXISTED
        told = marks(properties)
        name = topic_filter if self._policies.is_published else told.get(TOKEN, "")
        receiver = Receiver(session.client_id, name, False)
        existed = self.branches.of_receiver(receiver) is not None
        self._leave(receiver, lost=LOST in told)
        return ReasonCode.SUCCESS if existed else ReasonCode.NO_SUBSCRIPTION_EXISTED

    def ended(self, session: Session) -> None:
        """A session is over: a client's subscriptions are given up, a bridge broker's paths are broken."""
        client_id, lost = session.client_id, self._bridge.origin(session) is not None
        receivers = self.branches.receivers_of(client_id)
        passages = self.spreading.strand(receivers)
        for receiver in receivers:
            self._leave(receiver, lost)
        self.spreading.settle(passages)

    def _leave(self, receiver: Receiver, lost: bool = False) -> None:
        branch = self.branches.of_receiver(receiver)
        if branch is None:
            return
        if self.branches.leave(receiver) is None:
            if not self._policies.is_published:
                self.reaching.tell(branch, lost)
            return
        for upstream in list(branch.upstreams):
            self.reaching.release(branch, upstream, lost)

    def _moved(self, branch: Branch, session: str) -> None:
        """Another bridge broker has taken a session over, for a path of the subscription drawn anew.

        Whoever stands for it downstream learns of it, and is not waited for any more. If a client is there it
        was the other way about: the part above a break took the session from the path that the client's own
        bridge broker has drawn. It draws again, and that is the last time: the other part ends here.
        """
        receivers = [receiver for receiver, sessions in branch.behind.items() if session in sessions]
        if any(receiver.local for receiver in receivers):
            self.reaching.draw_anew(branch)
            return
        branch.told = tuple(each for each in branch.told if each != session)
        for receiver in receivers:
            self.spreading.tell_moved(branch, receiver, session)
            kept = tuple(each for each in branch.behind[receiver] if each != session)
            if kept:
                self.branches.receive(branch, receiver, branch.receivers[receiver], kept)
                continue
            passages = self.spreading.strand([receiver])
            self._leave(receiver, lost=True)
            self.spreading.settle(passages)

    def move(self, actual: str, at: At | None) -> None:
        """A topic has another public broker: who is attached to the old one subscribes at the new one."""
        for branch in list(self.branches.of_topic(actual)):
            for upstream in list(branch.upstreams):
                if isinstance(upstream, PublicUpstream) and at is not None and upstream.at != at:
                    self.reaching.release(branch, upstream, lost=False)
                    draw = Draw(Decision.EXIT, None, None)
                    if self._policies.is_published:
                        self.published.attach(branch, draw, at, branch.token)
                    else:
                        branch.cut()
                        self.reaching.attach(branch, draw, at, again=True)

    def peer_gone(self, at: At) -> None:
        """A bridge broker upstream is gone, or has forgotten what it knew: draw anew."""
        for branch, upstream in self.branches.through(at):
            self.branches.remove_upstream(branch, upstream)
            if self._policies.is_published:
                branch.acknowledged = False
                self.published.draw(branch, f"{self._bridge.rng.getrandbits(16)}", again=True)
            else:
                branch.cut()
                self.reaching.draw(branch, again=True)

    def links(self) -> list[Link]:
        """The sessions at public brokers."""
        return self.reaching.exits.links()
