"""The way of a published message through one bridge broker (Buccafurri, III): draw, forward, or hand out.

A message is acknowledged to whom it came from when the next one has acknowledged it, and so along the whole
path: a bridge broker that fails in between has promised nothing. Whoever is before it draws another way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.errors import MalformedPacketError, MqttsecError
from mqttsec.mqtt5.hooks import Arrival
from mqttsec.mqtta.drawing import Decision, Draw, StickyPaths
from mqttsec.mqtta.errors import NoPeers, NoPublicBroker
from mqttsec.mqtta.marks import LABEL, MESSAGE, marked, marks, new_message_id, new_token, unmarked
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.policies import PathRule
from mqttsec.mqtta.seen import Direction
from mqttsec.mqtta.topics import read_forwarding
from mqttsec.packets import Properties, Publish, ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtta.bridge import BridgeBroker


Meddle = Callable[[Direction, str, bytes], "bytes | None"]
"""An active attack: (direction, T_A, payload) gives what is passed on; None: it only says that it has."""


class Carried:
    """One message that this bridge broker has taken and not yet passed on for good."""

    __slots__ = (
        "actual",
        "arrival",
        "first",
        "label",
        "number",
        "payload",
        "previous",
        "properties",
        "tries",
    )

    def __init__(
        self, arrival: Arrival, actual: str, previous: str, first: bool, number: str, label: str
    ) -> None:
        self.arrival = arrival
        self.actual = actual
        """T_A."""
        self.previous = previous
        """Where it came from."""
        self.first = first
        """True at the first bridge broker."""
        self.number = number
        """The message's own number."""
        self.label = label
        """The label of its sticky path up to here; at the first bridge broker the topic."""
        self.properties: Properties = arrival.properties
        """What goes on with it."""
        self.payload = arrival.message.payload
        """What is passed on."""
        self.tries = 0
        """Next hops that have failed."""


class Carrying:
    """The publish side of a bridge broker."""

    def __init__(self, bridge: BridgeBroker) -> None:
        self._bridge = bridge
        self._policies = bridge.policies
        self._sticky = StickyPaths(bridge.policies.lifetime)
        self._keeps = bridge.policies.path is PathRule.STICKY
        self.carried: set[Carried] = set()
        """Messages under way."""

    def take(self, arrival: Arrival) -> None:
        """A client or bridge broker published under T_F."""
        bridge = self._bridge
        try:
            actual, _ = read_forwarding(arrival.message.topic, self._policies.by_class)
        except MalformedPacketError:
            arrival.acknowledge(ReasonCode.TOPIC_NAME_INVALID)
            return
        origin = bridge.origin(arrival.session)
        if origin is None:
            previous, first = arrival.session.client_id, True
            number, label = new_message_id(bridge.rng), actual
            properties = marked(unmarked(arrival.properties), id=number)
        else:
            previous, first = origin, False
            told = marks(arrival.properties)
            number, label = told.get(MESSAGE, ""), told.get(LABEL, "")
            properties = arrival.properties
        carried = Carried(arrival, actual, previous, first, number, label)
        carried.properties = properties
        if bridge.meddle is not None:
            changed = bridge.meddle(Direction.PUBLISH, actual, carried.payload)
            if changed is None:
                arrival.acknowledge()
                return
            carried.payload = changed
        if arrival.packet_id:
            self.carried.add(carried)
        bridge.returning.spreading.publish_here(carried)
        self._send(carried)

    def forget(self, peer: At) -> None:
        """A peer is gone: no sticky path leads over it any more."""
        self._sticky.forget(peer)

    # Where to ----------------------------------------------------------------------------------

    def _send(self, carried: Carried) -> None:
        bridge = self._bridge
        try:
            draw, onward = self._decide(carried)
        except NoPeers as error:
            self._refuse(carried, error)
            return
        if draw.peer is None:
            self._hand_out(carried, draw)
            return
        bridge.see(
            Direction.PUBLISH, carried.previous, bridge.name_of(draw.peer), carried.actual, draw,
            carried.number, payload=carried.payload, again=carried.tries > 0,
        )  # fmt: skip
        properties = carried.properties
        if onward:
            properties = marked(properties, id=carried.number, path=onward)
        message = carried.arrival.message
        publish = Publish(message.topic, carried.payload, message.qos, message.retain, properties=properties)
        peer = draw.peer
        bridge.peer_link(peer).publish(publish, lambda code, said: self._passed_on(carried, peer, code, said))

    def _decide(self, carried: Carried) -> tuple[Draw, str]:
        bridge = self._bridge
        if not self._keeps or not carried.label:
            return bridge.draw(carried.first), ""
        now = bridge.now()
        kept = self._sticky.find(carried.previous, carried.label, now)
        if kept is not None:
            return kept[0]._replace(decision=Decision.KEPT), kept[1]
        draw, onward = bridge.draw(carried.first), new_token(bridge.rng)
        self._sticky.keep(carried.previous, carried.label, draw, onward, now)
        return draw, onward

    def _passed_on(self, carried: Carried, peer: At, code: int, said: bool) -> None:
        if code < 0x80:
            self._done(carried, code)
        elif said and code != ReasonCode.UNSPECIFIED_ERROR:
            # Not the way is wrong but the message, or its public broker: another way would not help.
            self._done(carried, code)
        else:
            self._bridge.avoid(peer)
            self._sticky.forget(peer)
            self._try_again(carried)

    def _try_again(self, carried: Carried) -> None:
        carried.tries += 1
        if carried.tries < self._policies.attempts and self._bridge.running:
            self._send(carried)
        else:
            self._refuse(
                carried, NoPeers(f"{carried.tries} next hops did not take a message on {carried.actual!r}")
            )

    def _done(self, carried: Carried, code: int) -> None:
        self.carried.discard(carried)
        carried.arrival.acknowledge(code)

    def _refuse(self, carried: Carried, why: MqttsecError) -> None:
        self._bridge.complain(why, carried.previous)
        self._done(carried, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)

    # The last bridge broker --------------------------------------------------------------------

    def _hand_out(self, carried: Carried, draw: Draw) -> None:
        bridge = self._bridge
        at = bridge.directory.public_broker(carried.actual)
        if at is not None:
            self._hand_to(carried, draw, at)
            return
        task = asyncio.get_running_loop().create_task(self._hand_out_new(carried, draw))
        bridge.keep_task(task)

    async def _hand_out_new(self, carried: Carried, draw: Draw) -> None:
        try:
            at = await self._bridge.host_new_topic(carried.actual)
        except MqttsecError as error:
            self._refuse(carried, error)
        else:
            self._hand_to(carried, draw, at)

    def _hand_to(self, carried: Carried, draw: Draw, at: At) -> None:
        """Remap T_F/T_A to T_A and publish it at the public broker."""
        bridge = self._bridge
        message = carried.arrival.message
        bridge.see(
            Direction.PUBLISH, carried.previous, bridge.name_of(at), carried.actual, draw, carried.number,
            payload=carried.payload, again=carried.tries > 0,
        )  # fmt: skip
        properties = carried.properties
        if self._keeps:
            properties = marked(properties, id=carried.number)
        publish = Publish(carried.actual, carried.payload, message.qos, message.retain, properties=properties)

        def taken(code: int, said: bool) -> None:
            if said:
                self._done(carried, code)
            else:
                self._refuse(
                    carried,
                    NoPublicBroker(
                        f"the public broker {at} of {carried.actual!r} does not answer: is it running?"
                    ),
                )

        bridge.public_link(at).publish(publish, taken)
