"""The published form: what the paper's text says, with its faults (Buccafurri, III).

Forwarding state by topic; a subscribe whose Packet Identifier was seen is discarded; every subscription is
acknowledged at once. So some subscriptions end before the public broker, and messages may go round for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.errors import MqttsecError
from mqttsec.mqtta.branches import Branch, Branches, PeerUpstream, PublicUpstream, Receiver
from mqttsec.mqtta.drawing import Decision, Draw
from mqttsec.mqtta.errors import NoPeers
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import MESSAGE, PACKET, marked, marks
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.spreading import Memory, Spreading
from mqttsec.mqtta.topics import forwarding, read_forwarding
from mqttsec.packets import NO_PROPERTIES, Publish, SubscribeFilter

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker


COPIES = 1000
"""Published form: after so many copies of one message it is taken to circulate, and stopped."""


class Fuse:
    """Stops messages that circulate, as they do in the published form; one for a whole network.

    No bridge broker of the paper has it: without it a lab, and the machine, would never come to rest.
    """

    def __init__(self, copies: int = COPIES) -> None:
        self.copies = copies
        self.circulating: set[object] = set()
        """Messages that were stopped."""
        self._counts: dict[object, int] = {}

    def passes(self, key: object) -> bool:
        """Whether one more copy of a message may go on."""
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > self.copies:
            self.circulating.add(key)
        return count <= self.copies


class PublishedForm:
    """Subscriptions of one bridge broker by the paper's rules."""

    def __init__(self, bridge: BridgeBroker, branches: Branches, spreading: Spreading) -> None:
        self._bridge = bridge
        self._policies = bridge.policies
        self._branches = branches
        self._spreading = spreading
        self._packets = Memory(100_000)

    def subscribe(
        self,
        receiver: Receiver,
        actual: str,
        qos_class: int | None,
        qos: int,
        told: dict[str, str],
        previous: str,
        answer: Callable[[int], None],
    ) -> None:
        """State by topic, the loop rule by Packet Identifier, acknowledged at once."""
        bridge = self._bridge
        # A Packet Identifier lives on one connection only; what stands for it goes along as a mark, 16 bits.
        came = told.get(PACKET, "")
        packet = came or f"{bridge.rng.getrandbits(16)}"
        answer(qos)
        if (actual, packet) in self._packets:
            discarded = Draw(Decision.DISCARDED, None, None)
            bridge.see(Direction.SUBSCRIBE, previous, "", actual, discarded, packet, packet)
            return
        self._packets.add((actual, packet))
        known = next((b for b in self._branches.of_topic(actual) if b.qos_class == qos_class), None)
        branch = known or self._branches.open(
            actual, qos_class, qos, first=not came, token=came, previous=previous
        )
        branch.acknowledged = True
        branch.qos = max(branch.qos, qos)
        self._branches.receive(branch, receiver, qos)
        if known is not None and self._policies.joins(qos_class):
            joined = Draw(Decision.JOINED, None, None)
            bridge.see(Direction.SUBSCRIBE, previous, "", actual, joined, came, packet)
            return
        branch.first, branch.token, branch.previous = not came, came, previous
        self.draw(branch, packet)

    def draw(self, branch: Branch, packet: str, again: bool = False) -> None:
        """Draw the next hop and subscribe there."""
        bridge = self._bridge
        try:
            draw = bridge.draw(branch.first)
        except NoPeers as error:
            bridge.complain(error, branch.previous)
            return
        if draw.peer is None:
            at = bridge.directory.public_broker(branch.actual)
            if at is None:
                bridge.keep_task(
                    asyncio.get_running_loop().create_task(self._attach_new(branch, draw, packet))
                )
            else:
                self.attach(branch, draw, at, packet)
            return
        upstream = PeerUpstream(draw.peer, branch.actual)
        bridge.see(
            Direction.SUBSCRIBE, branch.previous, bridge.name_of(draw.peer), branch.actual, draw,
            branch.token and packet, packet, again=again,
        )  # fmt: skip
        self._branches.add_upstream(branch, upstream)
        wanted = SubscribeFilter(forwarding(branch.actual, branch.qos_class), branch.qos)
        bridge.peer_link(draw.peer).subscribe(
            wanted, marked(NO_PROPERTIES, packet=packet), lambda code, said: None
        )

    async def _attach_new(self, branch: Branch, draw: Draw, packet: str) -> None:
        try:
            at = await self._bridge.host_new_topic(branch.actual)
        except MqttsecError as error:
            self._bridge.complain(error, branch.previous)
        else:
            self.attach(branch, draw, at, packet)

    def attach(self, branch: Branch, draw: Draw, at: At, packet: str) -> None:
        """Subscribe to T_A at its public broker, in the one session that there is."""
        bridge = self._bridge
        bridge.see(
            Direction.SUBSCRIBE, branch.previous, bridge.name_of(at), branch.actual, draw,
            branch.token and packet, packet,
        )  # fmt: skip
        self._branches.add_upstream(branch, PublicUpstream(at))
        bridge.public_link(at).subscribe(
            SubscribeFilter(branch.actual, branch.qos), NO_PROPERTIES, lambda code, said: None
        )

    def from_public(self, link: Link, message: Publish) -> None:
        """A message from a public broker, where this bridge broker has one session for all topics."""
        link.acknowledge(message)
        told, branches = marks(message.properties), list(self._branches.of_topic(message.topic))
        self._spread(branches, message.topic, message, told, self._bridge.name_of(link.at))

    def _spread(
        self, branches: list[Branch], actual: str, message: Publish, told: dict[str, str], previous: str
    ) -> None:
        number = told.get(MESSAGE, "")
        if not self._bridge.fuse(actual, number, message.payload):
            return
        for branch in branches:
            self._spreading.spread(branch, message, told, previous, None)

    def from_peer(self, link: Link, message: Publish) -> None:
        """A message from a bridge broker upstream."""
        link.acknowledge(message)
        actual, qos_class = read_forwarding(message.topic, self._policies.by_class)
        branches = [b for b in self._branches.of_topic(actual) if b.qos_class == qos_class]
        self._spread(branches, actual, message, marks(message.properties), self._bridge.name_of(link.at))
