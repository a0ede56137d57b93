"""The index of Topic Filters, routes and plans."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.mqtt5.message import Form
from mqttsec.mqtt5.router import FilterIndex, Node, Router, Target, is_servers_own
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.packets import MQTT_3_1_1, MQTT_5, matches
from mqttsec.packets.topics import split_share

LEVEL = st.sampled_from(["", "a", "b", "$SYS", "$x", "ä"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=5).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, rest: "/".join([*levels, *rest]),
    st.lists(LEVEL | st.just("+"), max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)
SHARED = st.builds(lambda name, plain: f"$share/{name}/{plain}", st.sampled_from(["g", "h"]), FILTER)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(FILTER | SHARED, max_size=12), st.lists(FILTER | SHARED, max_size=6), st.lists(TOPIC, max_size=6)
)
def test_the_index_finds_what_matches_says(added: list[str], removed: list[str], topics: list[str]) -> None:
    index = FilterIndex()
    for item in added:
        index.add(item)
    for item in removed:
        index.remove(item)
    kept = set(added) - set(removed)
    for topic in topics:
        found = index.matching(topic)
        assert len(found) == len(set(found))
        assert set(found) == {item for item in kept if matches(split_share(item)[1], topic)}


@settings(deadline=None)
@given(st.lists(FILTER | SHARED, max_size=12))
def test_an_emptied_index_holds_nothing(filters: list[str]) -> None:
    index = FilterIndex()
    for item in filters:
        index.add(item)
    for item in filters:
        index.remove(item)
    root: Node = index._root
    assert not root.children and not root.filters


def test_a_topic_of_thousands_of_levels_is_matched_without_recursion() -> None:
    deep = "/".join("a" * (sys.getrecursionlimit() * 4))
    index = FilterIndex()
    for item in (deep, "a/#", "+/" * 100 + "#"):
        index.add(item)
    assert set(index.matching(deep)) == {deep, "a/#", "+/" * 100 + "#"}
    index.remove(deep)
    assert deep not in index.matching(deep)


@pytest.mark.parametrize(
    ("topic", "own"), [("$SYS", True), ("$SYS/broker/uptime", True), ("$x/y", False), ("sys", False)]
)
def test_only_sys_is_the_servers_own(topic: str, own: bool) -> None:
    assert is_servers_own(topic) is own


class Net:
    """A router with sessions by name and a RECEIVE check that a test can change."""

    def __init__(self) -> None:
        self.forbidden: set[tuple[str, str]] = set()
        self.asked = 0
        self.router = Router({}, self._permits)
        self.sessions: dict[str, Session] = {}

    def _permits(self, session: Session, topic: str) -> bool:
        self.asked += 1
        return (session.client_id, topic) not in self.forbidden

    def session(self, name: str, protocol: int = MQTT_5) -> Session:
        if name not in self.sessions:
            self.sessions[name] = Session(name, protocol)
        return self.sessions[name]

    def subscribe(self, name: str, topic_filter: str, qos: int = 0, **options: object) -> Session:
        session = self.session(name)
        self.router.subscribe(Subscription(topic_filter, session, qos, **options))  # type: ignore[arg-type]
        return session

    def receivers(self, topic: str) -> list[str]:
        route = self.router.route(topic, topic.encode())
        return [target.session.client_id for target in route.targets]


def test_routes_are_remembered_until_any_subscription_changes() -> None:
    net = Net()
    a = net.subscribe("a", "t")
    first = net.router.route("t", b"t")
    assert net.router.route("t", b"t") is first is net.router.cached(b"t")
    asked = net.asked
    net.router.route("t", b"t")
    assert net.asked == asked
    net.subscribe("b", "#")
    assert net.router.cached(b"t") is None
    assert sorted(net.receivers("t")) == ["a", "b"]
    assert net.router.unsubscribe(a, "t")
    assert net.receivers("t") == ["b"]
    net.router.forget()
    assert net.router.cached(b"t") is None


def test_an_unsubscription_of_nothing_says_so_and_keeps_the_routes() -> None:
    net = Net()
    a = net.subscribe("a", "t")
    net.receivers("t")
    assert not net.router.unsubscribe(a, "other")
    assert net.router.cached(b"t") is not None


def test_the_cache_of_routes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqttsec.mqtt5.router._REMEMBERED", 10)
    net = Net()
    net.subscribe("a", "#")
    for number in range(100):
        assert net.receivers(f"t/{number}") == ["a"]
        assert len(net.router._routes) <= 10


def test_subscribing_again_replaces() -> None:
    # [MQTT-3.8.4-3]
    net = Net()
    a = net.subscribe("a", "t", 0, identifier=1)
    net.subscribe("a", "t", 2, identifier=2)
    (target,) = net.router.route("t", b"t").targets
    assert target.form(2, False) == Form(MQTT_5, 2, False, (2,))
    assert list(a.subscriptions) == ["t"]
    assert len(net.router._table["t"]) == 1


def test_overlapping_subscriptions_make_one_copy_with_the_best_qos_and_all_identifiers() -> None:
    # [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4]
    net = Net()
    net.subscribe("a", "t/#", 0, identifier=7)
    net.subscribe("a", "t/+", 2)
    net.subscribe("a", "t/x", 1, identifier=9)
    (target,) = net.router.route("t/x", b"t/x").targets
    form = target.form(2, False)
    assert form is not None
    assert (form.qos, sorted(form.identifiers)) == (2, [7, 9])
    assert target.form(1, False) == form._replace(qos=1)


@settings(deadline=None)
@given(
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
    st.lists(
        st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.none() | st.integers(1, 9)), min_size=1
    ),
)
def test_the_form_of_a_copy(
    qos: int, retain: bool, own: bool, rows: list[tuple[int, bool, bool, int | None]]
) -> None:
    target = Target(Session("a"))
    for number, (granted, no_local, as_published, identifier) in enumerate(rows):
        target.subscriptions.append(
            Subscription(str(number), target.session, granted, no_local, as_published, identifier)
        )
    form = target.form(qos, retain, own)
    counted = [row for row in rows if not (own and row[1])]
    if not counted:
        assert form is None
        return
    assert form is not None
    assert form.qos == min(qos, max(row[0] for row in counted))
    assert form.retain == (retain and any(row[2] for row in counted))
    assert form.identifiers == tuple(row[3] for row in counted if row[3] is not None)


def test_identifiers_are_not_for_3_1_1() -> None:
    net = Net()
    net.session("a", MQTT_3_1_1)
    net.subscribe("a", "t", 1, identifier=3)
    assert net.router.route("t", b"t").plan(1, False).groups[0][0] == Form(MQTT_3_1_1, 1, False)


def test_a_plan_groups_those_who_get_the_same_bytes() -> None:
    net = Net()
    for number in range(5):
        net.subscribe(f"q0-{number}", "t", 0)
        net.subscribe(f"q1-{number}", "t", 1)
    net.subscribe("shy", "t", 1, no_local=True)
    plan = net.router.route("t", b"t").plan(1, False)
    assert {group.form: len(group.away) for group in plan.groups} == {
        Form(MQTT_5, 0, False): 5,
        Form(MQTT_5, 1, False): 5,
    }
    assert [target.session.client_id for target in plan.singles] == ["shy"]
    assert net.router.route("t", b"t").plan(1, False) is plan
    (everybody,) = (group.away for group in net.router.route("t", b"t").plan(0, False).groups)
    assert len(everybody) == 10


def test_who_may_not_receive_is_not_on_the_route() -> None:
    net = Net()
    net.forbidden = {("a", "secret")}
    net.subscribe("a", "#")
    net.subscribe("a", "$share/g/#")
    net.subscribe("b", "#")
    assert sorted(net.receivers("open")) == ["a", "b"]
    assert net.receivers("secret") == ["b"]
    assert net.router.route("secret", b"secret").shared == []


def test_a_shared_subscription_takes_turns_and_prefers_the_connected() -> None:
    net = Net()
    for name in "abc":
        net.subscribe(name, "$share/g/t").connection = object()  # type: ignore[assignment]
    ((topic_filter, rows),) = net.router.route("t", b"t").shared
    turns = [net.router.next_of_share(topic_filter, rows).session.client_id for _ in range(6)]
    assert turns == ["a", "b", "c", "a", "b", "c"]
    net.session("a").connection = None
    assert {net.router.next_of_share(topic_filter, rows).session.client_id for _ in range(6)} == {"b", "c"}
    for name in "bc":
        net.session(name).connection = None
    assert net.router.next_of_share(topic_filter, rows).session.client_id in "abc"


def test_two_groups_and_a_plain_subscription_are_three_things() -> None:
    # 4.8.2: each group gets the message once; a plain subscription of the same client is not part of it.
    net = Net()
    net.subscribe("a", "t")
    net.subscribe("a", "$share/g/t")
    net.subscribe("b", "$share/h/t")
    route = net.router.route("t", b"t")
    assert [name for name, _ in route.shared] == ["$share/g/t", "$share/h/t"]
    assert len(route.targets) == 1
    assert not route.empty
    assert net.router.route("other", b"other").empty
