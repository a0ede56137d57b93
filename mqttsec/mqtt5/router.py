"""Which subscriptions does a topic reach? An index of Topic Filters and a cache of answers (4.7, 4.8.2).

The subscriptions themselves stay in amqtt's table (filter -> rows); the index only finds the
filters. A `Route` is the answer for one topic, computed once and kept until any subscription
changes; inside it a `Plan` groups the receivers by wire form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

from mqttsec.mqtt5.channel import Series, kinship, series_of
from mqttsec.mqtt5.hooks import Relay, Service
from mqttsec.mqtt5.message import Form
from mqttsec.mqtt5.outbox import Outbox
from mqttsec.mqtt5.outlet import Outlet
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.packets import MQTT_5
from mqttsec.packets.topics import matches, split_share

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection

_REMEMBERED = 300_000
# Receivers in all remembered routes, and 64 bytes of a Topic Name count as one: some 50 MB. So neither ever
# new topics nor long ones nor many subscribers can fill the memory.


def is_servers_own(topic: str) -> bool:
    """True for topics that clients do not write: 4.7.2 leaves that to the Server; as in mosquitto, $SYS."""
    return topic.startswith("$SYS")


class Node:
    """One level of the filter index."""

    __slots__ = ("children", "filters")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.filters: tuple[str, ...] = ()
        """The filters that end here: the plain one and the shared ones. Hardly ever more than one."""


class FilterIndex:
    """A tree of Topic Filter levels; finds all filters that match a Topic Name."""

    def __init__(self) -> None:
        self._root = Node()

    def add(self, topic_filter: str) -> None:
        """Enter a filter; a shared subscription is found under its plain filter."""
        node = self._root
        for level in split_share(topic_filter)[1].split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = Node()
            node = child
        if topic_filter not in node.filters:
            node.filters += (topic_filter,)

    def remove(self, topic_filter: str) -> None:
        """Take a filter out, with the branches that it alone needed."""
        path = [self._root]
        levels = split_share(topic_filter)[1].split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        path[-1].filters = tuple(item for item in path[-1].filters if item != topic_filter)
        for parent, level in zip(reversed(path[:-1]), reversed(levels), strict=True):
            child = parent.children[level]
            if child.filters or child.children:
                return
            del parent.children[level]

    def matching(self, topic: str) -> list[str]:
        """All filters that match the Topic Name `topic`, which holds no wildcards."""
        found: list[str] = []
        # [MQTT-4.7.2-1] a leading wildcard does not match a Topic Name that begins with $.
        wild = not topic.startswith("$")
        nodes = [self._root]
        for level in topic.split("/"):
            following = []
            for node in nodes:
                children = node.children
                exact = children.get(level)
                if exact is not None:
                    following.append(exact)
                if wild:
                    if "+" in children:
                        following.append(children["+"])
                    if "#" in children:
                        found += children["#"].filters
            nodes, wild = following, True
        for node in nodes:
            found += node.filters
            # "sport/#" also matches the singular "sport": '#' includes the parent level (4.7.1.2).
            if "#" in node.children:
                found += node.children["#"].filters
        return found


class Target:
    """One session that a topic reaches, with all its matching subscriptions merged into one copy.

    3.3.4: with overlapping subscriptions the Server "MUST deliver the message to the Client respecting
    the maximum QoS of all the matching subscriptions" [MQTT-3.3.4-2], with all their identifiers
    [MQTT-3.3.4-4].
    """

    __slots__ = ("session", "subscriptions")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.subscriptions: list[Subscription] = []

    def form(self, qos: int, retain: bool, own: bool = False) -> Form | None:
        """Wire form of the copy; None when the message is the client's `own` and No Local forbids it."""
        # [MQTT-3.8.3-3] No Local: "Application Messages MUST NOT be forwarded to a connection with a
        # ClientID equal to the ClientID of the publishing connection".
        rows = [row for row in self.subscriptions if not (own and row.no_local)]
        if not rows:
            return None
        identifiers = tuple(row.identifier for row in rows if row.identifier is not None)
        # 3.8.3.1: with Retain As Published the flag stays, else it is 0 on a live message.
        kept = retain and any(row.retain_as_published for row in rows)
        protocol = self.session.protocol
        best = min(qos, max(row.qos for row in rows))
        return Form(protocol, best, kept, identifiers if protocol >= MQTT_5 else ())

    @property
    def no_local(self) -> bool:
        """True when any of the subscriptions says No Local."""
        return any(row.no_local for row in self.subscriptions)


Line = tuple[Outlet, Outbox, Session]
"""A connected receiver: what writes to it, what it owes acknowledgements for, and whose it is."""


class Group(NamedTuple):
    """Receivers that get the same bytes."""

    form: Form
    """The wire form of their copies."""
    lines: tuple[Line, ...]
    """Those that are connected."""
    away: tuple[Session, ...]
    """Those that are not."""


class Apart(NamedTuple):
    """Receivers whose channels make each of them a copy of its own, QoS 0."""

    form: Form
    """The wire form of their copies."""
    series: Series
    """Makes the copies."""
    lines: tuple[Line, ...]
    """Those that are connected."""
    names: tuple[str, ...]
    """Their Client Identifiers."""


class Plan(NamedTuple):
    """The receivers of a topic for one (QoS, RETAIN) of the publisher."""

    groups: tuple[Group, ...]
    """Sessions whose copies are made once for all."""
    alike: tuple[Group, ...]
    """Sessions whose channels make the same of a message: the first one's does it for all."""
    apart: tuple[Apart, ...]
    """Sessions whose channels make a copy for each, at QoS 0."""
    singles: tuple[Target, ...]
    """Sessions whose copy needs a look of its own: channel, Topic Alias, packet limit, No Local."""


class Route:
    """All receivers of one topic."""

    __slots__ = ("_plans", "relay", "service", "shared", "targets", "topic", "topic_bytes")

    def __init__(
        self,
        topic: str,
        targets: list[Target],
        shared: list[tuple[str, list[Subscription]]],
        service: Service | None = None,
        relay: Relay | None = None,
    ) -> None:
        self.topic = topic
        self.topic_bytes = topic.encode("utf-8")
        self.targets = targets
        self.service = service
        """Takes what clients publish, in place of the receivers."""
        self.relay = relay
        """Takes what clients publish elsewhere, in place of the receivers."""
        self.shared = shared
        """(Topic Filter, subscriptions) of each shared subscription that matches."""
        self._plans: dict[tuple[int, bool], Plan] = {}

    @property
    def empty(self) -> bool:
        """True when nobody subscribes to the topic."""
        return not self.targets and not self.shared

    def plan(self, qos: int, retain: bool) -> Plan:
        """The receivers grouped by wire form."""
        plan = self._plans.get((qos, retain))
        if plan is None:
            plan = self._plans[qos, retain] = self._make_plan(qos, retain)
        return plan

    def _make_plan(self, qos: int, retain: bool) -> Plan:
        groups: dict[Form, list[Session]] = {}
        alike: dict[tuple[Form, Hashable], list[Session]] = {}
        apart: dict[tuple[Form, Series], list[Session]] = {}
        singles = []
        for target in self.targets:
            session = target.session
            connection, channel = session.connection, session.channel
            if target.no_local or (connection and connection.copies.needed):
                singles.append(target)
                continue
            form = target.form(qos, retain)
            if form is None:
                continue
            if channel is None:
                groups.setdefault(form, []).append(session)
                continue
            kin, series = kinship(channel, self.topic), series_of(channel)
            if kin is not None:
                alike.setdefault((form, kin), []).append(session)
            elif series is not None and not form.qos:
                apart.setdefault((form, series), []).append(session)
            else:
                singles.append(target)
        return Plan(
            tuple(_group(form, sessions) for form, sessions in groups.items()),
            tuple(_group(form, sessions) for (form, _), sessions in alike.items()),
            tuple(_apart(form, series, sessions) for (form, series), sessions in apart.items()),
            tuple(singles),
        )


def _group(form: Form, sessions: list[Session]) -> Group:
    lines = tuple(
        (session.connection.outlet, session.outbox, session)
        for session in sessions
        if session.connection is not None
    )
    return Group(form, lines, tuple(session for session in sessions if session.connection is None))


def _apart(form: Form, series: Series, sessions: list[Session]) -> Apart:
    lines = _group(form, sessions).lines
    return Apart(form, series, lines, tuple(session.client_id for _, _, session in lines))


class Router:
    """Finds the route of a topic. `table` is amqtt's subscription table, `permits` the RECEIVE check."""

    def __init__(self, table: dict[str, list[Subscription]], permits: Callable[[Session, str], bool]) -> None:
        self._table = table
        self._permits = permits
        self._index = FilterIndex()
        self._routes: dict[bytes, Route] = {}
        self._remembered = 0
        self._turns: dict[str, int] = {}
        self._lanes: set[Connection] = set()
        self._services: list[tuple[str, Service]] = []
        self._relays: dict[str, Relay] = {}

    def serve(self, topic_filter: str, service: Service) -> None:
        """From now on `service`, unless an earlier one fits, takes what is published under a filter."""
        self._services.append((topic_filter, service))
        self.forget()

    def relay(self, prefix: str, relay: Relay) -> None:
        """From now on `relay` has all topics that begin with the level or levels `prefix`."""
        self._relays[prefix] = relay
        self.forget()

    def relay_of(self, topic: str) -> Relay | None:
        """Who has a topic, or all topics of a filter, taken over."""
        for prefix, relay in self._relays.items():
            if topic.startswith(prefix) and topic[len(prefix) : len(prefix) + 1] in ("", "/"):
                return relay
        return None

    def subscribe(self, row: Subscription) -> None:
        """Enter a subscription, in place of one with the same filter and session [MQTT-3.8.4-3]."""
        rows = self._table.get(row.topic_filter)
        if rows is None:
            rows = self._table[row.topic_filter] = []
            self._index.add(row.topic_filter)
        old = row.session.subscriptions.get(row.topic_filter)
        if old is None:
            rows.append(row)
        else:
            rows[rows.index(old)] = row
        row.session.subscriptions[row.topic_filter] = row
        self.forget()

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Remove a subscription; False if there was none."""
        row = session.subscriptions.pop(topic_filter, None)
        if row is None:
            return False
        rows = self._table[topic_filter]
        rows.remove(row)
        if not rows:
            del self._table[topic_filter]
            self._turns.pop(topic_filter, None)
            self._index.remove(topic_filter)
        self.forget()
        return True

    def forget(self) -> None:
        """Something about a receiver changed (it came, it went, other limits): compute routes anew."""
        self._routes.clear()
        self._remembered = 0
        for connection in self._lanes:
            connection.lanes.clear()
        self._lanes.clear()

    def has_lanes(self, connection: Connection) -> None:
        """Let `forget` clear what was learned from routes for one connection (see `express`)."""
        self._lanes.add(connection)

    def drop_lanes(self, connection: Connection) -> None:
        """A connection ended."""
        connection.lanes.clear()
        self._lanes.discard(connection)

    def cached(self, topic: bytes) -> Route | None:
        """The route of a topic that was seen before and is therefore known to be well formed."""
        return self._routes.get(topic)

    def route(self, topic: str, topic_bytes: bytes) -> Route:
        """The route of a well-formed topic."""
        route = self._routes.get(topic_bytes)
        if route is None:
            route = self._find(topic)
            size = 1 + len(route.targets) + len(topic_bytes) // 64
            if self._remembered + size > _REMEMBERED:
                self.forget()
            self._remembered += size
            self._routes[topic_bytes] = route
        return route

    def _find(self, topic: str) -> Route:
        targets: dict[Session, Target] = {}
        shared = []
        for topic_filter in sorted(self._index.matching(topic)):
            rows = [row for row in self._table[topic_filter] if self._permits(row.session, topic)]
            if split_share(topic_filter)[0] is not None:
                if rows:
                    shared.append((topic_filter, rows))
                continue
            for row in rows:
                targets.setdefault(row.session, Target(row.session)).subscriptions.append(row)
        service = next((found for wanted, found in self._services if matches(wanted, topic)), None)
        return Route(topic, list(targets.values()), shared, service, self.relay_of(topic))

    def next_of_share(self, topic_filter: str, rows: list[Subscription]) -> Subscription:
        """Whose turn it is in a shared subscription: round robin, connected sessions first (4.8.2)."""
        turn = self._turns.get(topic_filter, 0)
        self._turns[topic_filter] = turn + 1
        order = [rows[(turn + offset) % len(rows)] for offset in range(len(rows))]
        return next((row for row in order if row.session.connection is not None), order[0])
