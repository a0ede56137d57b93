"""The last bridge broker of a path: T_A at the public broker, in a session of each subscriber's own.

The session belongs to the subscription, not to the bridge broker: its Client Identifier came along the path,
and outlives a connection. What the subscriber has not taken is not acknowledged, so the public broker keeps
it; when a path breaks, whoever is the last one of the path drawn anew takes the session over, with all that
waits in it. That is plain MQTT: the public broker sees clients that connect again from elsewhere.

Subscriptions that share a path end here together. Each has its session all the same, for their paths may
break apart. A message that bears a number comes in all of them, and goes down the shared path once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mqttsec.errors import MqttsecError
from mqttsec.mqtta.branches import Branch, Branches, PublicUpstream
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import AGAIN, DERIVED, MESSAGE, SESSION, derived_id, marks, new_token
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.spreading import Spreading
from mqttsec.packets import NO_PROPERTIES, Publish, SubscribeFilter

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker


class Exits:
    """Sessions at public brokers.

    Args:
        bridge: this bridge broker.
        branches: its subscriptions.
        spreading: takes the messages.
        granted: told when the public broker has granted a session's subscription.
        refused: told the Reason Code when it has refused it.
        moved: told when another bridge broker has taken a session over.
        broken: told when no session of a branch can be had from here.

    """

    def __init__(
        self,
        bridge: BridgeBroker,
        branches: Branches,
        spreading: Spreading,
        *,
        granted: Callable[[Branch, frozenset[str]], None],
        refused: Callable[[Branch, int], None],
        moved: Callable[[Branch, str], None],
        broken: Callable[[Branch], None],
    ) -> None:
        self._bridge, self._branches, self._spreading = bridge, branches, spreading
        self._granted, self._refused, self._moved, self._broken = granted, refused, moved, broken
        self._links: dict[Branch, dict[str, Link]] = {}

    def attach(self, branch: Branch, at: At) -> None:
        """Subscribe to T_A at its public broker for everybody on the branch."""
        self._branches.add_upstream(branch, PublicUpstream(at))
        self._links[branch] = {}
        self.adjust(branch, lost=False)

    def adjust(self, branch: Branch, lost: bool) -> None:
        """Open sessions of new subscribers, close those of subscribers that are not here any more.

        With `lost` these have not left but their path has broken: their sessions stay at the public broker.
        """
        links, wanted = self._links[branch], branch.sessions
        for session in [session for session in links if session not in wanted]:
            self._close(branch, links.pop(session), end_session=not lost)
        for session in wanted:
            if session not in links:
                links[session] = self._open(branch, session)

    def release(self, branch: Branch, lost: bool) -> None:
        """Close all sessions of a branch."""
        for link in self._links.pop(branch, {}).values():
            self._close(branch, link, end_session=not lost)

    def links(self) -> list[Link]:
        """All sessions."""
        return [link for links in self._links.values() for link in links.values()]

    # One session -------------------------------------------------------------------------------

    def _open(self, branch: Branch, session: str) -> Link:
        bridge, upstream = self._bridge, branch.upstream
        assert isinstance(upstream, PublicUpstream)
        link = Link(
            bridge.dialer, upstream.at, session or new_token(bridge.rng),
            on_message=lambda link, message: self._message(branch, session, link, message),
            on_reset=partial(self._subscribe, branch, session),
            on_gone=partial(self._gone, branch, session),
            session_expiry=bridge.session_expiry if session else 0,
            resume=bool(session), public=True, endless=True,
        )  # fmt: skip
        self._subscribe(branch, session, link)
        return link

    def _subscribe(self, branch: Branch, session: str, link: Link) -> None:
        # Whoever takes a session over leaves its subscription as it is: to subscribe again would bring the
        # retained message a second time.
        link.subscribe(
            SubscribeFilter(branch.actual, branch.qos),
            NO_PROPERTIES,
            partial(self._answered, branch, session, link),
            unless_present=session in branch.kept,
        )

    def _is_open(self, branch: Branch, session: str, link: Link) -> bool:
        return self._links.get(branch, {}).get(session) is link

    def _answered(self, branch: Branch, session: str, link: Link, code: int, said: bool) -> None:
        if not self._is_open(branch, session, link):
            return
        if code < 0x80:
            self._granted(branch, frozenset([session]))
        elif said:
            self._close(branch, self._links[branch].pop(session), end_session=True)
            self._refused(branch, code)
        elif not link.gone:
            # The connection broke before the SUBACK; the link connects again.
            self._subscribe(branch, session, link)

    def _gone(self, branch: Branch, session: str, link: Link, why: MqttsecError) -> None:
        if not self._is_open(branch, session, link):
            return
        del self._links[branch][session]
        if link.taken_over:
            self._moved(branch, session)
        else:
            self._broken(branch)

    def _close(self, branch: Branch, link: Link, end_session: bool) -> None:
        if end_session:
            link.unsubscribe(branch.actual, NO_PROPERTIES)
        else:
            link.hold()
        self._bridge.close_link(link, end_session)

    def _message(self, branch: Branch, session: str, link: Link, message: Publish) -> None:
        """Say what is known of a message: its number, and for whom it is."""
        number = marks(message.properties).get(MESSAGE, "")
        told = {}
        numbered = bool(number) and not number.startswith(DERIVED)
        if numbered:
            told[MESSAGE] = number
        elif message.packet_id:
            told[MESSAGE] = derived_id(link.client_id, message.packet_id, message.topic, message.payload)
            if message.dup:
                told[AGAIN] = "1"
        if not numbered or message.retain:
            # The copies in other sessions cannot be told from other messages: each goes to its subscriber.
            told[SESSION] = session
        self._spreading.come_back(branch, message, told, self._bridge.name_of(link.at), link)
