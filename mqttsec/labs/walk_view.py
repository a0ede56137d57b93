"""A message's way through the network, hop by hop: the picture, the draws, what each broker knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.labs.walks import PUBLIC, READER, STATION, Member, Walk
from mqttsec.mqtta.drawing import Decision
from mqttsec.mqtta.seen import Direction
from mqttsec.widgets.look import block, columns, text
from mqttsec.widgets.network import Kind, Leg, Place, Way, network_svg
from mqttsec.widgets.table import Cell, Table

SUBSCRIPTION = "the subscription"
"""What the first choice of the list is called."""


def what_names(messages: int) -> tuple[str, ...]:
    """The choices of the list."""
    return (SUBSCRIPTION, *(f"message {number}" for number in range(1, messages + 1)))


@dataclass(frozen=True)
class Step:
    """One arrow of the picture and its row in the table."""

    source: str
    """Who passes it on."""
    target: str
    """To whom."""
    way: Way
    """What it is on: to the public broker, or back."""
    draw: float | None
    """R; None where there was no draw."""
    decision: str
    """What the source decided."""
    time: float
    """When, seconds after the first step."""

    @property
    def label(self) -> str:
        """What stands on the arrow."""
        return f"R {self.draw:.2f}" if self.draw is not None else ""


def steps(walk: Walk, message: int) -> tuple[Step, ...]:
    """All steps of a message, from 1, there and back; 0: of the subscription, there only."""
    path = walk.path(message)
    way = Way.PUBLISH if message else Way.SUBSCRIBE
    begun = path.hops[0].time
    found = [Step(path.source, path.hops[0].bridge, way, None, "", 0.0)]
    for hop in path.hops:
        found.append(Step(hop.bridge, hop.next, way, hop.draw, _words(hop.decision), hop.time - begun))
    back = walk.back(message)
    if back:
        found.append(
            Step(PUBLIC, back[0].bridge, Way.DELIVER, None, "back", found[-1].time + walk.rtt_ms / 2e3)
        )
    found += (
        Step(row.bridge, row.next, Way.DELIVER, None, "back along the subscription", row.time - begun)
        for row in back
    )
    return tuple(found)


def _words(decision: Decision | None) -> str:
    return {
        Decision.FIRST: "first broker: always on to a peer",
        Decision.FORWARD: "R <= p_f: on to a peer",
        Decision.EXIT: "R > p_f: to the public broker",
        Decision.DISCARDED: "seen before: discarded",
        Decision.JOINED: "joins a path that is there",
    }.get(decision, "" if decision is None else decision.value)  # type: ignore[arg-type]


def places(n: int, marked: tuple[str, ...] = (), discovery: int = 0) -> tuple[Place, ...]:
    """Who is there: the two clients, n bridge brokers, the public broker, discovery brokers."""
    return (
        Place(STATION, Kind.CLIENT),
        Place(READER, Kind.CLIENT),
        *(Place(f"b{number}", Kind.BRIDGE, f"b{number}" in marked) for number in range(1, n + 1)),
        Place(PUBLIC, Kind.PUBLIC),
        *(Place(f"d{number}", Kind.DISCOVERY) for number in range(1, discovery + 1)),
    )


@dataclass(frozen=True, repr=False)
class MembersView:
    """Who is there, and who asked which discovery broker."""

    members: tuple[Member, ...]
    """The bridge brokers."""

    def picture(self) -> str:
        """The network; an arrow from each bridge broker to its discovery broker."""
        legs = [Leg(each.name, each.asked, way=Way.SUBSCRIBE) for each in self.members]
        n = len(self.members)
        title = f"{n} bridge brokers and whom they asked"
        return network_svg(places(n, discovery=2), legs, title=title, highlight=False, numbers=False)

    def table(self) -> Table:
        """One row a bridge broker."""
        rows = tuple(
            (
                each.name,
                each.asked,
                ", ".join(each.peers),
                ", ".join(f"{t} at {at}" for t, at in each.topics.items()),
            )
            for each in self.members
        )
        return Table(("broker", "asked", "peers it was told of", "topics"), rows)

    def _repr_html_(self) -> str:
        return block(columns(self.picture(), self.table().html()))

    def __repr__(self) -> str:
        return repr(self.table())


@dataclass(frozen=True)
class WalkView:
    """What the explorer of lab 06 shows."""

    walk: Walk
    """The run."""
    message: int
    """Which message, from 1; 0: the subscription."""
    hop: int
    """How many steps are shown."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all the way."""
        return steps(self.walk, self.message)

    @property
    def shown(self) -> tuple[Step, ...]:
        """Those up to the current one."""
        return self.steps[: max(1, self.hop)]

    def head(self) -> str:
        """One line: what, and how far."""
        walk, all_steps = self.walk, self.steps
        length = walk.path(self.message).length
        what = what_names(len(walk.messages))[self.message]
        return (
            f"{what}: step {len(self.shown)} of {len(all_steps)}; "
            f"path length {length}; n = {walk.n}, p_f = {walk.p_f:g}, RTT {walk.rtt_ms:g} ms"
        )

    def picture(self) -> str:
        """The network with the steps so far."""
        legs = [Leg(each.source, each.target, each.label, each.way) for each in self.shown]
        return network_svg(places(self.walk.n), legs, title=self.head())

    def table(self) -> Table:
        """The steps so far."""
        rows: list[tuple[Cell, ...]] = []
        for number, each in enumerate(self.shown, 1):
            draw = "" if each.draw is None else f"{each.draw:.3f}"
            rows.append(
                (number, f"{1000 * each.time:.1f}", each.source, draw, each.decision, each.target)
            )  # fmt: skip
        return Table(("step", "ms", "from", "R", "decision", "to"), tuple(rows), self.head())

    def html(self) -> str:
        """Picture and table side by side."""
        table = Table(self.table().columns, self.table().rows)
        head = f'<p class="mqs-caption">{text(self.head())}</p>'
        return head + columns(self.picture(), table.html())

    def text(self) -> str:
        """The table as fixed-width text."""
        return repr(self.table())

    def __repr__(self) -> str:
        return self.text()


def knowledge(walk: Walk) -> Table:
    """What each bridge broker can say after all that it saw, from its own log alone."""
    rows: list[tuple[Cell, ...]] = []
    for bridge in walk.bridges:
        log = walk.log(bridge)
        published = [row for row in log if row.direction is Direction.PUBLISH]
        rows.append(
            (
                bridge,
                len(published),
                ", ".join(sorted({row.previous for row in published})),
                STATION if knows_publisher(walk, bridge) else "-",
                READER if knows_subscriber(walk, bridge) else "-",
                "yes" if any(row.decision is Decision.EXIT for row in log) else "-",
            )
        )
    names = ("broker", "messages", "had them from", "knows publisher", "knows subscriber", "was an exit")
    return Table(names, tuple(rows), f"n = {walk.n}, p_f = {walk.p_f:g}: what each log says")


def knows_publisher(walk: Walk, bridge: str) -> bool:
    """Whether a message came to this broker from a client: its own one."""
    return any(
        row.direction is Direction.PUBLISH and row.previous not in walk.bridges for row in walk.log(bridge)
    )


def knows_subscriber(walk: Walk, bridge: str) -> bool:
    """Whether a subscription came to this broker from a client."""
    return any(
        row.direction is Direction.SUBSCRIBE and row.previous not in walk.bridges for row in walk.log(bridge)
    )
