"""Subscriptions through one bridge broker: drawn on, acknowledged, given up, drawn anew (Buccafurri, III, V).

One `Branch` a subscription, known by a token that is new at every hop. `published` has the paper's rules,
`spreading` what becomes of the messages that come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.errors import MalformedPacketError, MqttsecError
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.mqtta.branches import Branch, Branches, PeerUpstream, PublicUpstream, Receiver, Upstream
from mqttsec.mqtta.drawing import Decision, Draw
from mqttsec.mqtta.errors import NoPeers, NoPublicBroker
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import (
    AGAIN,
    FRESH,
    HOPS,
    LOST,
    MESSAGE,
    SESSION,
    TOKEN,
    derived_id,
    marked,
    marks,
    new_token,
)
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.published import PublishedForm
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.spreading import Spreading
from mqttsec.mqtta.topics import forwarding, read_forwarding
from mqttsec.packets import NO_PROPERTIES, Properties, Publish, ReasonCode, SubscribeFilter

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
        self.published = PublishedForm(bridge, self.branches, self.spreading)
        """The rules of the published form."""
        self._sessions: dict[Branch, Link] = {}

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
        known = self.branches.of_receiver(receiver)
        if known is not None:
            if wanted.qos <= known.qos and known.qos_class == qos_class:
                self.branches.receive(known, receiver, wanted.qos)
                self._answer_when_known(known, wanted.qos, answer)
                return
            self._leave(receiver)
        if policies.joins(qos_class) and FRESH not in told:
            joined = self.branches.joinable(actual, qos_class, wanted.qos)
            if joined is not None:
                self.branches.receive(joined, receiver, wanted.qos)
                bridge.see(
                    Direction.SUBSCRIBE, previous, "", actual, Draw(Decision.JOINED, None, None),
                    told.get(TOKEN, ""),
                )  # fmt: skip
                answer(wanted.qos)
                return
        limit = policies.hop_limit
        hops = told.get(HOPS, "")
        branch = self.branches.open(
            actual, qos_class, wanted.qos, first=origin is None, token=told.get(TOKEN, ""), previous=previous,
            session=told.get(SESSION, "") or (new_token(bridge.rng) if origin is None and wanted.qos else ""),
            hops=min(int(hops), 2 * limit) if hops.isdigit() else bridge.rng.randrange(limit, 2 * limit),
        )  # fmt: skip
        self.branches.receive(branch, receiver, wanted.qos)
        self._answer_when_known(branch, wanted.qos, answer)
        self._draw(branch)

    def _enter_row(self, session: Session, wanted: SubscribeFilter, properties: Properties) -> None:
        # The broker's own table knows the client's subscription; messages come to it by branches.
        identifiers = properties.subscription_identifier
        self._bridge.broker.router.subscribe(
            Subscription(
                wanted.topic_filter, session, wanted.qos, identifier=identifiers[0] if identifiers else None
            )
        )

    def _answer_when_known(self, branch: Branch, qos: int, answer: Callable[[int], None]) -> None:
        if branch.acknowledged:
            answer(qos)
        else:
            branch.waiting.append(lambda code: answer(qos if code < 0x80 else code))

    # Where to ----------------------------------------------------------------------------------

    def _draw(self, branch: Branch, again: bool = False) -> None:
        """Draw the next hop of a branch and subscribe there."""
        bridge = self._bridge
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
        told = {"token": token, "hops": str(branch.hops - 1)}
        if branch.session:
            told["session"] = branch.session
        if again:
            told["fresh"] = "1"
        wanted = SubscribeFilter(forwarding(branch.actual, branch.qos_class), branch.qos)
        bridge.peer_link(draw.peer).subscribe(
            wanted,
            marked(NO_PROPERTIES, **told),
            lambda code, said: self._answered(branch, upstream, code, said),
        )

    def _answered(self, branch: Branch, upstream: Upstream, code: int, said: bool) -> None:
        """The SUBACK of the next hop."""
        if upstream not in branch.upstreams:
            if code < 0x80 and isinstance(upstream, PeerUpstream):
                # Nobody wants it any more; the UNSUBSCRIBE could not go before the connection was there.
                self._unsubscribe_at(branch, upstream, lost=False)
            return
        if code < 0x80:
            branch.acknowledged, branch.tries = True, 0
            waiting, branch.waiting = branch.waiting, []
            for answer in waiting:
                answer(branch.qos)
            return
        self.branches.remove_upstream(branch, upstream)
        final = said and (code != ReasonCode.UNSPECIFIED_ERROR or isinstance(upstream, PublicUpstream))
        if final:
            self._close_session(branch, end_session=True)
            reason = NoPublicBroker(f"{branch.actual!r} cannot be subscribed to: Reason Code 0x{code:02X}")
            self._failed(branch, reason, code)
            return
        if isinstance(upstream, PeerUpstream):
            self._bridge.avoid(upstream.at)
        branch.tries += 1
        if branch.tries < self._policies.attempts:
            self._draw(branch, again=True)
        else:
            self._failed(branch, NoPeers(f"{branch.tries} next hops did not take {branch.actual!r}"), _FAILED)

    def _failed(self, branch: Branch, why: MqttsecError, code: int) -> None:
        """No way upstream was found: a new subscription is refused, an old one is tried again later."""
        self._bridge.complain(why, branch.previous)
        if not self.branches.is_open(branch):
            return
        if branch.waiting:
            self._drop_rows(branch)
            self.branches.close(branch)
            waiting, branch.waiting = branch.waiting, []
            for answer in waiting:
                answer(code)
            return
        branch.tries = 0
        self._bridge.later(self._policies.patience, lambda: self._draw_if_needed(branch))

    def _draw_if_needed(self, branch: Branch) -> None:
        if self.branches.is_open(branch) and not branch.upstreams:
            self._draw(branch, again=True)

    def _drop_rows(self, branch: Branch) -> None:
        for receiver in branch.receivers:
            session = self._bridge.broker.session(receiver.client_id)
            if receiver.local and session is not None:
                self._bridge.broker.router.unsubscribe(session, receiver.name)

    # The last bridge broker --------------------------------------------------------------------

    def _draw_exit(self, branch: Branch, draw: Draw, again: bool) -> None:
        at = self._bridge.directory.public_broker(branch.actual)
        if at is not None:
            self._attach(branch, draw, at, again)
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
                self._attach(branch, draw, at, again)

    def _attach(self, branch: Branch, draw: Draw, at: At, again: bool) -> None:
        """Subscribe to T_A at its public broker, in a session of this subscription's own."""
        bridge = self._bridge
        bridge.see(
            Direction.SUBSCRIBE, branch.previous, bridge.name_of(at), branch.actual, draw, branch.token, "",
            again=again,
        )  # fmt: skip
        client_id = branch.session or new_token(bridge.rng)
        upstream = PublicUpstream(at, client_id)
        self.branches.add_upstream(branch, upstream)
        link = Link(
            bridge.dialer, at, client_id,
            on_message=lambda link, message: self._from_public(link, branch, message),
            on_reset=lambda link: self._subscribe_at_public(branch, upstream, link),
            on_gone=lambda link, why: self._public_gone(branch, upstream, link, why),
            session_expiry=bridge.session_expiry if branch.session else 0,
            resume=bool(branch.session), public=True, endless=True,
        )  # fmt: skip
        self._sessions[branch] = link
        self._subscribe_at_public(branch, upstream, link)

    def _subscribe_at_public(self, branch: Branch, upstream: PublicUpstream, link: Link) -> None:
        link.subscribe(
            SubscribeFilter(branch.actual, branch.qos),
            NO_PROPERTIES,
            lambda code, said: self._answered_publicly(branch, upstream, link, code, said),
        )

    def _answered_publicly(
        self, branch: Branch, upstream: PublicUpstream, link: Link, code: int, said: bool
    ) -> None:
        if not said and not link.gone and upstream in branch.upstreams:
            # The connection broke before the SUBACK; the link connects again.
            self._subscribe_at_public(branch, upstream, link)
        else:
            self._answered(branch, upstream, code, said)

    def _public_gone(self, branch: Branch, upstream: PublicUpstream, link: Link, why: MqttsecError) -> None:
        if self._sessions.get(branch) is not link:
            return
        del self._sessions[branch]
        self.branches.remove_upstream(branch, upstream)
        if not self.branches.is_open(branch):
            return
        if link.taken_over and len(branch.receivers) < 2:
            # The subscriber's path was drawn anew and ends elsewhere now; nobody is left on this one.
            self.branches.close(branch)
            return
        if link.taken_over:
            branch.session = new_token(self._bridge.rng)
        branch.acknowledged = False
        self._draw(branch, again=True)

    def move(self, actual: str, at: At | None) -> None:
        """A topic has another public broker: who is attached to the old one subscribes at the new one."""
        for branch in list(self.branches.of_topic(actual)):
            for upstream in list(branch.upstreams):
                if isinstance(upstream, PublicUpstream) and at is not None and upstream.at != at:
                    self._release_upstream(branch, upstream, lost=False)
                    draw = Draw(Decision.EXIT, None, None)
                    if self._policies.is_published:
                        self.published.attach(branch, draw, at, branch.token)
                    else:
                        self._attach(branch, draw, at, again=True)

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
        self.spreading.come_back(branch, message, told, self._bridge.name_of(link.at), link)

    def _from_public(self, link: Link, branch: Branch, message: Publish) -> None:
        told = marks(message.properties)
        if message.packet_id and MESSAGE not in told:
            told[MESSAGE] = derived_id(link.client_id, message.packet_id, message.topic, message.payload)
            if message.dup:
                told[AGAIN] = "1"
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
        passages = self.spreading.strand(client_id)
        for receiver in self.branches.receivers_of(client_id):
            self._leave(receiver, lost)
        self.spreading.settle(passages)

    def _leave(self, receiver: Receiver, lost: bool = False) -> None:
        branch = self.branches.leave(receiver)
        if branch is not None:
            for upstream in list(branch.upstreams):
                self._release_upstream(branch, upstream, lost)

    def _release_upstream(self, branch: Branch, upstream: Upstream, lost: bool) -> None:
        self.branches.remove_upstream(branch, upstream)
        if isinstance(upstream, PeerUpstream):
            self._unsubscribe_at(branch, upstream, lost)
        elif self._policies.is_published:
            self._bridge.public_link(upstream.at).unsubscribe(branch.actual, NO_PROPERTIES)
        else:
            self._close_session(branch, end_session=not lost)

    def _unsubscribe_at(self, branch: Branch, upstream: PeerUpstream, lost: bool) -> None:
        link = self._bridge.known_link(upstream.at)
        if link is None:
            return
        told = {} if self._policies.is_published else {"token": upstream.token}
        if lost:
            told["lost"] = "1"
        link.unsubscribe(forwarding(branch.actual, branch.qos_class), marked(NO_PROPERTIES, **told))

    def _close_session(self, branch: Branch, end_session: bool) -> None:
        link = self._sessions.pop(branch, None)
        if link is not None:
            if end_session:
                link.unsubscribe(branch.actual, NO_PROPERTIES)
            self._bridge.close_link(link, end_session)

    def peer_gone(self, at: At) -> None:
        """A bridge broker upstream is gone, or has forgotten what it knew: draw anew."""
        for branch, upstream in self.branches.through(at):
            self.branches.remove_upstream(branch, upstream)
            branch.acknowledged = False
            if self._policies.is_published:
                self.published.draw(branch, f"{self._bridge.rng.getrandbits(16)}", again=True)
            else:
                self._draw(branch, again=True)

    def links(self) -> list[Link]:
        """The sessions at public brokers."""
        return list(self._sessions.values())
