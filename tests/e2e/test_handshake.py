"""The three machines: what they agree on, what they refuse, and that a failure changes nothing."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.crypto import CertificateAuthority, Key, Profile, same_secret
from mqttsec.e2e import (
    SCHEMES,
    Broker,
    CheckFailed,
    CheckKind,
    KeyName,
    Message,
    Mode,
    Party,
    Publisher,
    Role,
    Run,
    Setup,
    Subscriber,
    read,
)
from mqttsec.e2e.company import START, TOPIC, Company, across, authority, identity
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    KeepWaiting,
    PublisherAnswer,
    PublisherHello,
    Refusal,
    StillWaiting,
    SubscriberRequest,
)
from mqttsec.e2e.setup import ReplayCache
from mqttsec.errors import ConfigurationError, HandshakeError
from tests.e2e.strategies import any_message

EVERY_SETUP = [
    Setup(number, profile, mode=mode, confirm=confirm)
    for number in SCHEMES
    for mode in Mode
    for profile, confirm in (
        (Profile.PUBLISHED, False),
        (Profile.HARDENED, False),
        (Profile.HARDENED, True),
    )
]


@pytest.mark.parametrize("setup", EVERY_SETUP, ids=lambda setup: setup.method)
def test_a_handshake_ends_with_keys_at_both_ends(setup: Setup) -> None:
    world = Company(setup)
    world.connect()
    world.join("s1", "s2")
    assert world.broker.members("alice", TOPIC) == ("s1", "s2") == world.publisher.members(TOPIC)
    assert world.broker.tickets == ()
    opened = world.publish(b"12.8")
    assert {name: each.message for name, each in opened.items()} == {"s1": b"12.8", "s2": b"12.8"}


@pytest.mark.parametrize("signing", ("ECDSA", "Ed25519"))
@pytest.mark.parametrize("curve", ("P-256", "X25519"))
@pytest.mark.parametrize("suite", ("paper", "aes-gcm", "aes-gcm-gmac", "chacha20"))
def test_every_curve_suite_and_signature(suite: str, curve: str, signing: str) -> None:
    world = Company(Setup(3, suite=suite, curve=curve), signing)
    world.connect()
    world.join("s1")
    assert world.publish(b"12.8")["s1"].message == b"12.8"


def test_p_256_is_secret_from_the_broker() -> None:
    """B's objects, all of them, hold K_PB, K_BSi, GK_B and never K_PSi or GK_P."""
    for setup in EVERY_SETUP:
        world = Company(setup)
        world.connect()
        world.join("s1", "s2")
        world.publish(b"12.8")
        names = {key.name.split()[0] for key in keys_within(world.broker)}
        assert "K_PB" in names and "K_BSi" in names
        assert names <= {"K_PB", "K_BSi", "GK_B"}, setup.method
        secrets = keys_within(world.broker)
        hidden = [key for key in keys_within(world.publisher) if key.name.startswith(("K_PSi", "GK_P"))]
        assert hidden
        assert not any(same_secret(one, two) for one in secrets for two in hidden)


def keys_within(root: object) -> list[Key]:
    """Every `Key` that can be reached from an object, by walking over all that it refers to."""
    seen: set[int] = set()
    found: list[Key] = []
    todo: list[Any] = [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type) or type(each).__name__ in ("module", "Company"):
            continue
        seen.add(id(each))
        if isinstance(each, Key):
            found.append(each)
        if type(each).__name__ == "function":
            todo += [cell.cell_contents for cell in each.__closure__ or ()]
        else:
            todo += gc.get_referents(each)
    return found


def test_nothing_shows_a_key() -> None:
    world = Company()
    world.connect()
    world.join("s1")
    run = Run.of(world.broker.party, P="alice")
    secrets = {key.reveal() for machine in (world.broker, world.publisher) for key in keys_within(machine)}
    shown = " ".join(
        map(repr, (run, world.broker, world.publisher, world.broker.party, world.setup,
                   world.subscribers["s1"].latest, vars(world.publisher), vars(world.broker)))
    )  # fmt: skip
    for secret in secrets:
        assert secret.hex() not in shown and repr(secret)[2:-1] not in shown


# Waiting ---------------------------------------------------------------------------------------


def test_waits_are_counted() -> None:
    world = Company()
    world.connect()
    ticket = world.ask("s1")
    for expected in (1, 2, 3):
        world.wait(ticket)
        assert ticket.waits == expected == world.subscribers["s1"].waits
    world.answer(ticket)
    world.finish(ticket)
    assert world.publish(b"12.8")["s1"].message == b"12.8"


def test_a_publisher_that_is_late() -> None:
    world = Company()
    ticket = world.ask("s1")
    world.wait(ticket)
    assert world.broker.waiting_for("alice") == ()
    world.now += 20
    world.connect()
    assert world.broker.waiting_for("alice") == (ticket,)
    world.answer(ticket)
    assert world.broker.waiting_for("alice") == ()
    world.finish(ticket)
    assert world.publish(b"12.8")["s1"].message == b"12.8"


@pytest.mark.parametrize("connected, reason", ((False, "is not connected"), (True, "did not answer")))
def test_a_publisher_that_never_comes(connected: bool, reason: str) -> None:
    world = Company()
    if connected:
        world.connect()
    ticket = world.ask("s1")
    world.wait(ticket)
    world.now += 30
    with pytest.raises(HandshakeError, match=f"'alice' {reason} within 30 s") as refusal:
        world.broker.wait(ticket)
    assert refusal.value.reason_code == 0x88
    world.broker.drop(ticket)
    assert world.broker.tickets == ()


def test_a_publisher_that_comes_back_is_asked_again() -> None:
    world = Company()
    world.connect()
    ticket = world.ask("s1")
    request = world.broker.asked(ticket)
    assert world.broker.waiting_for("alice") == ()
    world.broker.parted("alice")
    assert world.broker.publishers == ()
    again = world.new_publisher("alice")
    world.connect(again)
    assert world.broker.waiting_for("alice") == (ticket,)
    assert world.broker.asked(ticket) == request
    world.answer(ticket, again)
    world.finish(ticket, again)


def test_too_many_waiting_subscribers() -> None:
    world = Company()
    world.broker.tickets_at_most = 2
    for name in ("s1", "s2"):
        world.ask(name)
    with pytest.raises(HandshakeError, match="too many subscribers are waiting") as refusal:
        world.ask("s3")
    assert refusal.value.reason_code == 0x89


# Who may what ----------------------------------------------------------------------------------


def test_a_client_speaks_for_itself_only() -> None:
    world = Company()
    hello = across(world.publisher.hello())
    with pytest.raises(
        CheckFailed, match="B broker, step 2: client P failed: .*'alice'.*'mallory'"
    ) as refusal:
        world.broker.welcome("mallory", hello)
    assert refusal.value.reason_code == 0x87
    s = world.subscriber("s1")
    with pytest.raises(CheckFailed, match="step 6: client S failed"):
        world.broker.request("s2", across(s.request("alice", TOPIC)))


def test_certificates_of_another_authority() -> None:
    world = Company()
    other = CertificateAuthority("Another CA", clock=lambda: START)
    stranger = Publisher(
        Party(Role.P, other.issue("alice"), authority().trust, world.setup, lambda: world.now)
    )
    with pytest.raises(CheckFailed, match="step 2: certificate Cert_P failed: .* not from Course CA"):
        world.broker.welcome("alice", across(stranger.hello()))


@pytest.mark.parametrize("starts, reason", ((START + 60, "not yet valid"), (START - 7200, "has run out")))
def test_certificates_out_of_time(starts: float, reason: str) -> None:
    world = Company()
    untimely = authority().issue("alice", starts=starts, lasts=3600)
    party = Party(Role.P, untimely, authority().trust, world.setup, lambda: world.now)
    with pytest.raises(CheckFailed, match=f"certificate Cert_P failed: .*{reason}"):
        world.broker.welcome("alice", across(Publisher(party).hello()))


def test_the_broker_must_be_the_one_that_was_meant() -> None:
    world = Company()
    elsewhere = Broker(dataclasses.replace(world.broker.party, identity=identity("mallory")))
    script = world.setup.script.without(CheckKind.SIGNATURE)
    world = Company(Setup(3, altered=script))
    elsewhere = Broker(dataclasses.replace(world.broker.party, identity=identity("mallory")))
    welcome = elsewhere.welcome("alice", across(world.publisher.hello()))
    with pytest.raises(CheckFailed, match="step 4: certificate Cert_B failed: .*belongs to 'mallory'"):
        world.publisher.welcomed(across(welcome.reply))


def test_a_publisher_answers_for_its_own_topics() -> None:
    world = Company()
    world.publisher = world.new_publisher("alice", serves=lambda topic: topic == TOPIC)
    world.connect()
    ticket = world.ask("s1", "weather/oslo")
    with pytest.raises(CheckFailed, match="P alice, step 8: intention topic failed: .*'weather/oslo'"):
        world.answer(ticket)
    bob = world.new_publisher("bob")
    with pytest.raises(CheckFailed, match="meant for another publisher"):
        bob.asked(b"", across(ticket.request))


def test_a_publisher_that_refuses() -> None:
    world = Company()
    world.connect()
    ticket = world.ask("s1")
    world.broker.asked(ticket)
    for code, told in ((0x97, 0x97), (0x00, 0x87)):
        with pytest.raises(HandshakeError, match="'alice' refuses") as refusal:
            world.broker.answered("alice", ticket.correlation, Refusal(code))
        assert refusal.value.reason_code == told


def test_only_the_publisher_that_was_asked_answers() -> None:
    world = Company()
    world.connect()
    bob = world.new_publisher("bob")
    world.connect(bob)
    ticket = world.ask("s1")
    answer = world.publisher.asked(ticket.correlation, across(world.broker.asked(ticket)))
    with pytest.raises(HandshakeError, match="step 13: nobody waits for this answer"):
        world.broker.answered("bob", ticket.correlation, answer)
    with pytest.raises(HandshakeError, match="nobody waits for this answer"):
        world.broker.answered("alice", b"another", answer)
    world.broker.answered("alice", ticket.correlation, across(answer))
    with pytest.raises(HandshakeError, match="nobody waits for this answer"):
        world.broker.answered("alice", ticket.correlation, across(answer))


# Any message at any time -----------------------------------------------------------------------


@settings(max_examples=300)
@given(any_message, st.booleans())
def test_no_invented_message_is_taken(message: Message, begun: bool) -> None:
    """Whatever comes, in whatever state: a machine refuses it with a HandshakeError and stays as it was."""
    world = begun_world() if begun else fresh_world()
    b, p, s = world.broker, world.publisher, world.subscribers["s1"]
    before = (b.publishers, b.tickets, p.connected, p.members(TOPIC), s.topics)
    takers: dict[type[Message], list[Callable[[Any], object]]] = {
        PublisherHello: [lambda m: b.welcome(m.publisher, m)],
        BrokerHello: [p.welcomed],
        SubscriberRequest: [lambda m: b.request(m.subscriber, m), lambda m: p.asked(b"", m)],
        PublisherAnswer: [lambda m: b.answered("alice", b"correlation", m)],
        BrokerAnswer: [s.accepted],
        ForwardedConfirm: [lambda m: p.confirmed(b"correlation", m)],
    }
    for take in takers.get(type(message), []):
        with pytest.raises(HandshakeError):
            take(message)
    for other, more in takers.items():
        if type(message) is not other:
            for _ in more:
                with pytest.raises(HandshakeError):
                    read(b.party, message.encode(), other)
    assert (b.publishers, b.tickets, p.connected, p.members(TOPIC), s.topics) == before


@cache
def fresh_world() -> Company:
    world = Company()
    world.subscriber("s1")
    return world


@cache
def begun_world() -> Company:
    world = Company()
    world.connect()
    world.publisher.hello()
    world.broker.asked(world.ask("s1"))
    return world


# The wrong message at the wrong time -----------------------------------------------------------


def test_messages_that_nobody_expects_say_what_to_do() -> None:
    world = Company()
    reply = BrokerHello(b"", 0, b"", b"")
    with pytest.raises(HandshakeError, match=r"P alice, step 4: .* call hello\(\) first"):
        world.publisher.welcomed(reply)
    s = world.subscriber("s1")
    with pytest.raises(HandshakeError, match=r"S s1, step 9: .* call request\(\) first"):
        s.wait(KeepWaiting())
    world.connect()
    ticket = world.ask("s1")
    with pytest.raises(HandshakeError, match="B broker, step 10: nobody asked"):
        world.broker.still(ticket, StillWaiting())
    with pytest.raises(HandshakeError, match="step 14: P has not answered"):
        world.broker.accept(ticket)
    with pytest.raises(HandshakeError, match="step 14 has not been made"):
        world.broker.join(ticket)
    with pytest.raises(HandshakeError, match="connect first"):
        world.new_publisher("bob").protect(TOPIC, b"12.8")


def test_bytes_that_are_no_message_are_a_handshake_error() -> None:
    party = Company().broker.party
    for data in (None, b"", b"\x01", b"\x01\x05", b"\xff" * 40):
        with pytest.raises(
            HandshakeError, match="B broker: what came is no PublisherHello or Subscriber"
        ) as no:
            read(party, data, PublisherHello, SubscriberRequest)
        assert no.value.reason_code == 0x87
    assert read(party, KeepWaiting().encode(), KeepWaiting) == KeepWaiting()


def test_confirming_messages_must_come() -> None:
    world = Company(Setup(3, confirm=True))
    welcome = world.broker.welcome("alice", across(world.publisher.hello()))
    with pytest.raises(HandshakeError, match="step 16: the confirming message is missing"):
        world.broker.enter(welcome)
    assert world.broker.publishers == ()
    world.connect()
    ticket = world.ask("s1")
    world.answer(ticket)
    world.broker.accept(ticket)
    with pytest.raises(HandshakeError, match="step 18: the confirming message is missing"):
        world.broker.join(ticket)
    assert world.broker.members("alice", TOPIC) == ()


def test_a_replay_without_the_cache_ends_at_the_confirming_message() -> None:
    """Either safeguard stops a replayed CONNECT (specification 1.7)."""
    script = Setup(3, confirm=True).script.without(CheckKind.UNSEEN)
    world = Company(Setup(3, confirm=True, altered=script))
    hello = across(world.publisher.hello())
    first = world.broker.welcome("alice", hello)
    confirm = world.publisher.welcomed(across(first.reply))
    assert confirm is not None
    replayed = world.broker.welcome("alice", hello)
    with pytest.raises(CheckFailed, match="step 16: signature Sig_P:c3 failed"):
        world.broker.enter(replayed, across(confirm))
    world.broker.enter(first, across(confirm))


def test_roles_are_kept_apart() -> None:
    world = Company()
    for machine, role in ((Publisher, Role.S), (Subscriber, Role.B), (Broker, Role.P)):
        with pytest.raises(ConfigurationError, match="is no"):
            machine(world.party(role, "x"))
    with pytest.raises(ConfigurationError, match="cannot name a party"):
        Party(Role.P, authority().issue("a/b"), authority().trust, world.setup)


# Nothing stays behind --------------------------------------------------------------------------


@pytest.mark.parametrize("number", SCHEMES)
def test_a_handshake_that_fails_leaves_nothing(number: int) -> None:
    world = Company(Setup(number))
    world.connect()
    world.join("s1")
    before = state(world)
    ticket = world.ask("s2")
    world.answer(ticket)
    world.broker.accept(ticket)
    world.take(world.updates(world.broker.drop(ticket)))
    after = state(world)
    assert after == before
    assert world.broker.tickets == ()
    assert world.publish(b"12.8")["s1"].message == b"12.8"


def state(world: Company) -> object:
    return world.broker.members("alice", TOPIC), world.publisher.members(TOPIC), world.broker.streams("s2")


@pytest.mark.parametrize("number", SCHEMES)
def test_two_subscribers_at_the_same_time(number: int) -> None:
    """One gives up while the other's step 14 is on its way: the keys that were renewed come after it."""
    world = Company(Setup(number))
    world.connect()
    one, two = world.ask("s1"), world.ask("s2")
    world.answer(two)
    world.answer(one)
    accepted, _ = world.broker.accept(one), world.broker.accept(two)
    world.take(world.updates(world.broker.drop(two)))
    s1 = world.subscribers["s1"]
    s1.accepted(across(accepted))
    joined = world.broker.join(one)
    assert len(joined.updates) == (2 if number >= 3 else 0)
    for update in joined.updates:
        s1.update(across(update))
    assert world.publish(b"12.8")["s1"].message == b"12.8"
    assert world.broker.members("alice", TOPIC) == ("s1",) == world.publisher.members(TOPIC)


def test_group_keys_go_from_a_publisher_to_its_own_subscribers() -> None:
    world = Company()
    world.connect()
    world.join("s1", "s2", "s3")
    departure = world.broker.leave("s3", "alice", TOPIC)
    assert departure.notice is not None
    update = world.publisher.departed(departure.notice)["s1"]
    assert world.broker.pass_on("alice", "s1", update) == update
    for publisher, client in (("bob", "s1"), ("alice", "s9"), ("alice", "s3")):
        with pytest.raises(HandshakeError, match="takes no group key from"):
            world.broker.pass_on(publisher, client, update)
    with pytest.raises(HandshakeError, match="takes no group key from"):
        world.broker.pass_on("alice", "s1", departure.updates["s1"])


def test_the_replay_cache_forgets_in_time_and_never_too_early() -> None:
    cache = ReplayCache(limit=2)
    cache.remember("a", b"1", until=10.0)
    cache.remember("b", b"1", until=20.0)
    with pytest.raises(HandshakeError, match="a replay"):
        cache.check("a", b"1", now=10.0)
    with pytest.raises(HandshakeError, match="come back later") as refusal:
        cache.check("c", b"1", now=10.0)
    assert refusal.value.reason_code == 0x89
    cache.check("c", b"1", now=10.5)
    cache.check("a", b"1", now=10.5)
    assert len(cache) == 1
    with pytest.raises(HandshakeError, match="a replay"):
        cache.check("b", b"1", now=20.0)


def test_a_timestamp_that_lies_ahead_is_remembered_for_longer() -> None:
    world = Company()
    world.publisher = world.new_publisher("alice")
    ahead = dataclasses.replace(world.publisher.party, clock=lambda: START + 50)
    hello = across(Publisher(ahead).hello())
    world.broker.welcome("alice", hello)
    world.now += 105
    with pytest.raises(CheckFailed, match="unseen R_P failed"):
        world.broker.welcome("alice", hello)


# Several publishers, several topics ------------------------------------------------------------


def test_several_publishers_and_topics() -> None:
    for number in SCHEMES:
        world = Company(Setup(number))
        bob = world.new_publisher("bob")
        world.connect()
        world.connect(bob)
        world.join("s1", "s2")
        world.join("s1", topic="news")
        world.join("s1", publisher=bob)
        world.join("s3", publisher=bob)
        assert set(world.broker.streams("s1")) == {("alice", TOPIC), ("alice", "news"), ("bob", TOPIC)}
        assert set(world.subscribers["s1"].topics) == set(world.broker.streams("s1"))
        opened = world.publish(b"from alice")
        assert set(opened) == {"s1", "s2"} and opened["s1"].publisher == "alice"
        assert world.publish(b"news", "news")["s1"].topic == "news"
        sent = world.route(b"from bob", publisher=bob)
        assert set(sent) == {"s1", "s3"}
        assert world.subscribers["s1"].open(*sent["s1"]).publisher == "bob"
        assert world.publisher.protect("nobody asked", b"12.8") == []


def test_keys_have_names_and_no_values_in_run_views() -> None:
    world = Company()
    world.connect()
    world.join("s1")
    assert set(world.subscribers["s1"].latest) == {KeyName.K_PS, KeyName.K_BS}
