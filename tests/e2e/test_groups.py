"""Group keys as members come and go: epochs, updates, who was away, and what *published* lacks."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mqttsec.crypto import Operation, Profile
from mqttsec.e2e import LayerCheck, LayerRefused, Mode, Setup
from mqttsec.e2e.channel import Place, Sealer
from mqttsec.e2e.company import TOPIC, Company, across
from mqttsec.errors import TamperError

GROUPED = [Setup(3), Setup(4), Setup(1, mode=Mode.SINGLE_CIPHERTEXT), Setup(2, mode=Mode.SINGLE_CIPHERTEXT)]
EVERY_GROUPED = pytest.mark.parametrize("setup", GROUPED, ids=lambda setup: setup.method)


def ready(setup: Setup, *names: str) -> Company:
    world = Company(setup)
    world.connect()
    world.join(*names)
    return world


@EVERY_GROUPED
def test_a_member_who_left_cannot_read_the_next_message(setup: Setup) -> None:
    world = ready(setup, "s1", "s2")
    assert set(world.publish(b"1")) == {"s1", "s2"}
    world.leave("s2")
    sent = world.route(b"2")
    assert world.subscribers["s1"].open(*sent["s1"]).message == b"2"
    with pytest.raises(LayerRefused) as refusal:
        world.subscribers["s2"].open(*sent["s1"])
    assert refusal.value.check is LayerCheck.KEY


def test_under_published_it_still_reads() -> None:
    world = ready(Setup(3, Profile.PUBLISHED), "s1", "s2")
    world.leave("s2")
    sent = world.route(b"2")
    assert set(sent) == {"s1"}
    assert world.subscribers["s2"].open(*sent["s1"]).message == b"2"
    assert world.broker.epoch("alice", TOPIC) == 0 == world.publisher.epoch(TOPIC)


@EVERY_GROUPED
def test_a_newcomer_cannot_read_what_was_said_before(setup: Setup) -> None:
    world = ready(setup, "s1")
    earlier = world.route(b"1")["s1"]
    world.join("s2")
    with pytest.raises(LayerRefused) as refusal:
        world.subscribers["s2"].open(*earlier)
    assert refusal.value.check is LayerCheck.KEY
    assert world.subscribers["s1"].open(*earlier).message == b"1"
    assert set(world.publish(b"2")) == {"s1", "s2"}


@EVERY_GROUPED
def test_joining_costs_the_others_nothing_and_leaving_a_wrap_each(setup: Setup) -> None:
    world = ready(setup, "s1", "s2", "s3", "s4")
    groups = sum(key.is_group for key in setup.row.keys(setup.mode))
    for name in ("s1", "s2"):
        assert world.tallies()[name][Operation.UNWRAP] == groups
    before = world.tallies()
    world.leave("s4")
    spent = {name: tally - before[name] for name, tally in world.tallies().items()}
    assert spent["alice"][Operation.WRAP] == 3
    assert spent["broker"][Operation.WRAP] == 3 * (groups - 1)
    assert [spent[name][Operation.UNWRAP] for name in ("s1", "s2", "s3", "s4")] == [groups, groups, groups, 0]


@EVERY_GROUPED
def test_one_who_was_away_catches_up_in_the_order_of_its_queue(setup: Setup) -> None:
    """Updates and messages waited for it: all of them open, under the keys of then."""
    world = ready(setup, "s1", "s2", "s3")
    s1 = world.subscribers["s1"]
    queue: list[object] = []
    departure = world.broker.leave("s3", "alice", TOPIC)
    assert departure.notice is not None
    if "s1" in departure.updates:
        queue.append(departure.updates["s1"])
    # B has renewed its key at once; P hears of it a little later.
    queue.append(world.route(b"while away")["s1"])
    queue.append(world.publisher.departed(departure.notice)["s1"])
    queue.append(world.route(b"and later")["s1"])
    read = []
    for waiting in queue:
        if isinstance(waiting, tuple):
            read.append(s1.open(*waiting).message)
        else:
            s1.update(across(waiting))  # type: ignore[arg-type]
    assert read == [b"while away", b"and later"]


@EVERY_GROUPED
def test_one_who_missed_an_update_catches_up_by_a_new_handshake(setup: Setup) -> None:
    world = ready(setup, "s1", "s2", "s3")
    missed = world.part("s3")
    del missed["s1"]
    world.take(missed)
    sent = world.route(b"1")
    with pytest.raises(LayerRefused):
        world.subscribers["s1"].open(*sent["s1"])
    world.join("s1")
    # The handshake gives the current generation, which is also that of what it could not read.
    assert world.subscribers["s1"].open(*sent["s1"]).message == b"1"
    assert set(world.publish(b"2")) == {"s1", "s2"}


@pytest.mark.parametrize("number", (1, 2, 3, 4))
def test_a_new_handshake_leaves_what_waits_readable(number: int) -> None:
    """Messages that P sealed before S came back open under the older key."""
    world = ready(Setup(number), "s1")
    waiting = world.publisher.protect(TOPIC, b"before")[0]
    routed = world.broker.inbound("alice", *waiting)
    world.join("s1")
    sent = world.broker.outbound("s1", waiting[0], routed, {})
    assert world.subscribers["s1"].open(waiting[0], sent).message == b"before"
    assert world.publish(b"after")["s1"].message == b"after"


def test_a_publisher_that_begins_anew_is_told_apart() -> None:
    world = ready(Setup(3), "s1")
    world.publish(b"1")
    world.publisher = world.new_publisher("alice")
    world.connect()
    world.join("s2")
    sent = world.route(b"2")
    with pytest.raises(LayerRefused, match="request the topic again"):
        world.subscribers["s1"].open(*sent["s1"])
    world.join("s1")
    assert set(world.publish(b"3")) == {"s1", "s2"}


def test_a_message_that_waited_at_the_broker_is_sealed_for_those_who_stayed() -> None:
    world = ready(Setup(3), "s1", "s2")
    ((topic, payload),) = world.publisher.protect(TOPIC, b"1")
    routed = world.broker.inbound("alice", topic, payload)
    shared: dict[object, object] = {}
    early = world.broker.outbound("s1", topic, routed, shared)
    assert world.broker.outbound("s1", topic, routed, shared) is early
    world.leave("s2")
    late = world.broker.outbound("s1", topic, routed, shared)
    assert late != early
    assert world.subscribers["s1"].open(topic, late).message == b"1"


def test_updates_that_are_forged_or_for_others() -> None:
    world = ready(Setup(3), "s1", "s2", "s3")
    departure = world.broker.leave("s3", "alice", TOPIC)
    update = departure.updates["s1"]
    s1, s2 = world.subscribers["s1"], world.subscribers["s2"]
    sealed = update.wrapped.sealed
    flipped = dataclasses.replace(update.wrapped, sealed=sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    for wrong in (
        dataclasses.replace(update, topic="elsewhere"),
        dataclasses.replace(update, publisher="bob"),
        dataclasses.replace(update, key="GK_P"),
        dataclasses.replace(update, under=bytes(8)),
        dataclasses.replace(update, wrapped=flipped),
        dataclasses.replace(update, wrapped=dataclasses.replace(update.wrapped, key_id=bytes(8))),
        dataclasses.replace(
            update, wrapped=dataclasses.replace(update.wrapped, epoch=update.wrapped.epoch + 1)
        ),
    ):
        with pytest.raises(TamperError, match="S s1"):
            s1.update(wrong)
    with pytest.raises(TamperError):
        s2.update(update)
    s1.update(update)
    s1.update(update)


def test_notices_that_are_forged_or_replayed() -> None:
    world = ready(Setup(3), "s1", "s2", "s3")
    notice = world.broker.leave("s3", "alice", TOPIC).notice
    assert notice is not None
    for wrong in (
        dataclasses.replace(notice, subscriber="s1"),
        dataclasses.replace(notice, topic="elsewhere"),
        dataclasses.replace(notice, sequence=2),
        dataclasses.replace(notice, tag=bytes(32)),
        dataclasses.replace(notice, tag=b""),
    ):
        with pytest.raises(TamperError, match="P alice"):
            world.publisher.departed(wrong)
    assert world.publisher.members(TOPIC) == ("s1", "s2", "s3")
    assert set(world.publisher.departed(notice)) == {"s1", "s2"}
    with pytest.raises(TamperError, match="came before"):
        world.publisher.departed(notice)
    with pytest.raises(TamperError, match="connect first"):
        world.new_publisher("bob").departed(notice)


def test_leaving_twice_or_without_having_come() -> None:
    world = ready(Setup(3), "s1")
    for name in ("s9", "s1", "s1"):
        world.leave(name)
    assert world.broker.streams("s1") == () == world.publisher.members(TOPIC)
    world.subscribers["s1"].forget("alice", TOPIC)
    assert world.subscribers["s1"].topics == ()
    world.join("s1")
    assert world.publish(b"1")["s1"].message == b"1"


def test_members_of_individual_keys_need_no_updates() -> None:
    for number in (1, 2):
        world = ready(Setup(number), "s1", "s2")
        departure = world.broker.leave("s2", "alice", TOPIC)
        assert departure.updates == {} and departure.notice is not None
        assert world.publisher.departed(departure.notice) == {}
        assert set(world.publish(b"1")) == {"s1"}


# A member that forges -------------------------------------------------------------------------


def forged(world: Company, insider: str, message: bytes) -> tuple[str, bytes]:
    """What a member can make with the keys that it has: a message "from alice", through "the broker"."""
    stream = world.subscribers[insider]._streams["alice", TOPIC]
    setup, payload = world.setup, message
    for place, cell in (
        (Place.END_TO_END, setup.row.end_to_end(setup.mode)),
        (Place.FROM_BROKER, setup.row.broker_subscriber),
    ):
        if cell.key is None:
            continue
        (key_id,) = (each for at, each in stream.openers if at is place)
        epoch = 0 if not setup.hardened else world.broker.epoch("alice", TOPIC) or 0
        box = stream.groups[key_id](epoch)
        sealer = Sealer(setup, place, cell.protection, "alice", key_id, box, epoch, sequence=50)
        payload = sealer.seal(TOPIC, payload)
    return TOPIC, payload


@pytest.mark.parametrize("number", (3, 4))
def test_any_member_forges_as_p_and_as_b_unless_messages_are_signed(number: int) -> None:
    """A group's tag is no proof of who made it (specification 1.7)."""
    for setup, believed in (
        (Setup(number, Profile.PUBLISHED), True),
        (Setup(number), True),
        (Setup(number, sign_messages=True), False),
    ):
        world = ready(setup, "s1", "s2")
        s2 = world.subscribers["s2"]
        sent = forged(world, "s1", b"99.9 C")
        if believed:
            opened = s2.open(*sent)
            assert (opened.publisher, opened.message) == ("alice", b"99.9 C")
        else:
            with pytest.raises(LayerRefused) as refusal:
                s2.open(*sent)
            assert refusal.value.check is LayerCheck.SIGNATURE
            # And the forger's high sequence number has shut nobody out.
            assert world.publish(b"12.8")["s2"].message == b"12.8"


class Comings(RuleBasedStateMachine):
    """Members join, rejoin and leave in any order; all members read all that is said, nobody else does."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Company(Setup(3, suite="chacha20", curve="X25519"), "Ed25519")
        self.world.connect()
        self.members: set[str] = set()
        self.said = 0

    names = st.sampled_from([f"s{i}" for i in range(5)])

    @rule(name=names)
    def join(self, name: str) -> None:
        self.world.now += 0.01
        self.world.join(name)
        self.members.add(name)

    @rule(name=names)
    def leave(self, name: str) -> None:
        self.world.leave(name)
        self.members.discard(name)

    @rule()
    def connect_again(self) -> None:
        self.world.now += 0.01
        self.world.connect()

    @invariant()
    def everybody_reads_and_nobody_else(self) -> None:
        self.said += 1
        sent = self.world.route(b"%d" % self.said)
        assert set(sent) == self.members
        for name, subscriber in self.world.subscribers.items():
            if name in self.members:
                assert subscriber.open(*sent[name]).message == b"%d" % self.said
            elif sent:
                with pytest.raises(LayerRefused):
                    subscriber.open(*next(iter(sent.values())))


TestComings = Comings.TestCase
TestComings.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
