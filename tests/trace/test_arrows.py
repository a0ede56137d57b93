"""One packet, one arrow, whoever recorded it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqttsec.packets import Connect, Pingreq, Publish, encode
from mqttsec.trace import EventKind, Trace, arrows
from tests.trace.runs import BROKER, Script, weather

PING = encode(Pingreq())
CONNECT = encode(Connect("alice"))


def test_both_ends_make_one_arrow() -> None:
    script = Script(delay=0.055)
    script.pass_on("alice", BROKER, PING, ends=(1, 17))
    [arrow] = arrows(script.trace)
    assert (arrow.number, arrow.sender, arrow.receiver) == (1, "alice", BROKER)
    assert (arrow.sent, arrow.received, arrow.delay, arrow.time) == (0.0, 0.055, 0.055, 0.0)
    assert (arrow.frame, arrow.size, arrow.lost, arrow.events) == (PING, 2, False, (0, 1))
    assert (arrow.sender_connection, arrow.receiver_connection) == (1, 17)


def test_what_one_end_recorded_alone_is_an_arrow_too() -> None:
    script = Script()
    script.sent(BROKER, "foreign", PING)
    script.wait(1.0)
    script.received(BROKER, "foreign", PING)
    out, back = arrows(script.trace)
    assert (out.sender, out.receiver, out.sent, out.received, out.delay) == (
        BROKER,
        "foreign",
        0.0,
        None,
        None,
    )
    assert (back.sender, back.receiver, back.sent, back.received) == ("foreign", BROKER, None, 1.0)
    assert back.time == 1.0


def test_equal_packets_match_first_in_first_out() -> None:
    script = Script()
    for _ in range(3):
        script.sent("alice", BROKER, PING)
        script.wait(0.1)
    for _ in range(2):
        script.received(BROKER, "alice", PING)
        script.wait(0.1)
    found = arrows(script.trace)
    assert [(round(arrow.sent or 0, 3), arrow.received and round(arrow.received, 3)) for arrow in found] == [
        (0.0, 0.3),
        (0.1, 0.4),
        (0.2, None),
    ]


def test_lost_packet_is_one_arrow_and_its_repetition_another() -> None:
    script = Script(delay=0.01)
    script.pass_on("alice", BROKER, PING, lost=True)
    script.pass_on("alice", BROKER, PING)
    assert [(arrow.lost, arrow.received is None) for arrow in arrows(script.trace)] == [
        (True, True),
        (False, False),
    ]


def test_loss_drawn_at_sending_belongs_to_the_packet_just_sent() -> None:
    script = Script()
    script.sent("alice", BROKER, PING)
    script.wait(0.1)
    script.sent("alice", BROKER, PING)
    script.lost("alice", BROKER, PING)
    script.wait(0.1)
    script.received(BROKER, "alice", PING)
    assert [arrow.lost for arrow in arrows(script.trace)] == [False, True]


def test_loss_found_on_the_way_belongs_to_the_oldest() -> None:
    script = Script()
    script.sent("alice", BROKER, PING)
    script.wait(0.1)
    script.sent("alice", BROKER, PING)
    script.wait(0.1)
    script.lost("alice", BROKER, PING)
    script.received(BROKER, "alice", PING)
    assert [arrow.lost for arrow in arrows(script.trace)] == [True, False]


def test_loss_that_the_sender_did_not_record() -> None:
    script = Script()
    script.lost("alice", BROKER, PING)
    [arrow] = arrows(script.trace)
    assert (arrow.sender, arrow.receiver, arrow.lost) == ("alice", BROKER, True)


def test_after_a_reconnect_the_new_connection_is_meant() -> None:
    script = Script()
    script.sent("alice", BROKER, CONNECT, connection=1)
    script.trace.record(EventKind.CLOSED, "alice", BROKER, connection=1)
    script.wait(1.0)
    script.sent("alice", BROKER, CONNECT, connection=2)
    script.received(BROKER, "alice", CONNECT, connection=5)
    stale, fresh = arrows(script.trace)
    assert stale.received is None
    assert (fresh.sender_connection, fresh.receiver_connection, fresh.delay) == (2, 5, 0.0)


def test_connections_correspond_one_to_one() -> None:
    script = Script()
    script.pass_on("alice", BROKER, CONNECT, ends=(1, 5))
    script.sent("alice", BROKER, PING, connection=1)
    script.pass_on("alice", BROKER, CONNECT, ends=(2, 6))
    script.pass_on("alice", BROKER, PING, ends=(2, 6))
    pings = [arrow for arrow in arrows(script.trace) if arrow.frame == PING]
    assert [(ping.sender_connection, ping.receiver_connection) for ping in pings] == [(1, 0), (2, 6)]


def test_receiver_thread_may_be_quicker_with_the_pen() -> None:
    script = Script()
    script.received(BROKER, "alice", PING)
    script.wait(0.001)
    script.sent("alice", BROKER, PING)
    [arrow] = arrows(script.trace)
    assert arrow.delay == 0.0
    assert arrow.events == (0, 1)


def test_what_was_sent_much_later_was_not_received_before() -> None:
    script = Script()
    script.received(BROKER, "alice", PING)
    script.wait(5.0)
    script.sent("alice", BROKER, PING)
    assert len(arrows(script.trace)) == 2


def test_changed_bytes_are_another_packet() -> None:
    script = Script()
    script.sent("alice", BROKER, Publish("a", b"1"))
    script.received(BROKER, "alice", Publish("a", b"2"))
    assert len(arrows(script.trace)) == 2


def test_notes_and_protection_come_from_either_end() -> None:
    script = Script()
    script.sent("alice", BROKER, PING, detail="from alice")
    script.received(BROKER, "alice", PING, protected=True, detail="at the broker")
    [arrow] = arrows(script.trace)
    assert arrow.protected
    assert arrow.note == "from alice; at the broker"


def test_order_and_result_are_the_same_every_time() -> None:
    trace = weather(0.055, lossy=True)
    found = arrows(trace)
    assert found == arrows(trace) == arrows(trace.events)
    assert [arrow.number for arrow in found] == list(range(1, len(found) + 1))
    assert [arrow.events[0] for arrow in found] == sorted(arrow.events[0] for arrow in found)


STEP = st.tuples(
    st.sampled_from([EventKind.SENT, EventKind.RECEIVED, EventKind.LOST, EventKind.CLOSED, EventKind.NOTE]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([PING, CONNECT]),
    st.integers(0, 2),
    st.floats(0, 0.2),
)


@given(st.lists(STEP, max_size=40))
def test_every_packet_event_is_in_exactly_one_arrow(
    steps: list[tuple[EventKind, str, str, bytes, int, float]],
) -> None:
    now = 0.0
    trace = Trace(lambda: now)
    for kind, party, peer, packet, connection, wait in steps:
        now += wait
        carries = kind in (EventKind.SENT, EventKind.RECEIVED, EventKind.LOST)
        trace.record(kind, party, peer, packet=packet if carries else b"", connection=connection)
    found = arrows(trace)
    numbers = sorted(number for arrow in found for number in arrow.events)
    assert numbers == [event.number for event in trace if event.packet]
    for arrow in found:
        events = [trace.events[number] for number in arrow.events]
        assert len({event.kind for event in events}) == len(events)
        assert {event.packet for event in events} == {arrow.frame}
        for event in events:
            ends = (
                (event.party, event.peer)
                if event.kind is not EventKind.RECEIVED
                else (event.peer, event.party)
            )
            assert ends == (arrow.sender, arrow.receiver)


def test_many_equal_packets_match_in_linear_time() -> None:
    script = Script()
    # What a dead connection left behind must not be walked through for each packet of the next one.
    for _ in range(20_000):
        script.sent("alice", BROKER, PING, connection=1)
    script.pass_on("alice", BROKER, CONNECT, ends=(2, 9))
    for _ in range(20_000):
        script.pass_on("alice", BROKER, PING, ends=(2, 9))
    found = arrows(script.trace)
    assert len(found) == 40_001
    assert sum(arrow.received is not None for arrow in found) == 20_001
