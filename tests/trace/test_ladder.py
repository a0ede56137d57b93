"""The ladder as text: to the character, because notebooks are compared by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.errors import TraceError
from mqttsec.packets import Connect, Pingreq, Publish, Subscribe, SubscribeFilter
from mqttsec.trace import EventKind, Trace, dumps, ladder, loads, seen_on_network, text_ladder
from mqttsec.trace.labels import cells
from tests.trace.runs import BROKER, Script, weather


def test_ladder_of_a_reading() -> None:
    assert text_ladder(weather(), width=110) == WEATHER


WEATHER = r"""
      time s  station                                    broker                                    dashboard
                 |                                          |        CONNECT "dashboard" clean         |
                 |                                          |             keep alive 60 s              |
   1   0.000     |                                          |<-----------------------------------------|
   2   0.010     |                                          |------------ CONNACK Success ------------>|
                 | CONNECT "station" clean keep alive 60 s  |                                          |
                 |           user "lab" password            |                                          |
   3   0.020     |----------------------------------------->|                                          |
   4   0.030     |<----------- CONNACK Success -------------|                                          |
   5   0.040     |                                          |<---- SUBSCRIBE id 1 "site/#" QoS 1 ------|
   6   0.050     |                                          |----------- SUBACK id 1 QoS 1 ----------->|
                 |  PUBLISH QoS 1 id 7 "site/seattle" 33 B  |                                          |
   7   0.060     |----------------------------------------->|                                          |
       0.070     |                                          * checked: the station may publish here    |
   8   0.070     |<------------- PUBACK id 7 ---------------|                                          |
                 |                                          |  PUBLISH QoS 1 id 1 "site/seattle" 33 B  |
   9   0.080     |                                          |----------------------------------------->|
  10   0.090     |                                          |<------------- PUBACK id 1 ---------------|
       0.100     |                                          |                  derives K_PB (2 H, 1 E) *
  11   0.100     |---------------- PINGREQ ---------------->|                                          |
  12   0.110     |<--------------- PINGRESP ----------------|                                          |
                 |        AUTH 0x19 Re authenticate         |                                          |
                 |     method "SCRAM-SHA-256" data 14 B     |                                          |
  13   0.120     |----------------------------------------->|                                          |
       0.130     |                                          * REJECTED: re-authentication without a    |
                 |                                          | first one                                |
  14   0.130     |<---- DISCONNECT 0x82 Protocol error -----|                                          |
"""[1:-1]


def test_ladder_with_delays_and_a_loss() -> None:
    assert text_ladder(weather(0.055, lossy=True), width=90, highlight=7, upto=9) == LOSSY


LOSSY = r"""
         sent s  arrived s  station                   broker                   dashboard
                               |                         |   CONNECT "dashboard"   |
                               |                         |  clean keep alive 60 s  |
   1      0.000      0.055     |                         |<------------------------|
   2      0.065      0.120     |                         |---- CONNACK Success --->|
                               | CONNECT "station" clean |                         |
                               |     keep alive 60 s     |                         |
                               |   user "lab" password   |                         |
   3      0.130      0.185     |------------------------>|                         |
   4      0.195      0.250     |<--- CONNACK Success ----|                         |
                               |                         |     SUBSCRIBE id 1      |
                               |                         |     "site/#" QoS 1      |
   5      0.260      0.315     |                         |<------------------------|
   6      0.325      0.380     |                         |--- SUBACK id 1 QoS 1 -->|
                               |   PUBLISH QoS 1 id 7    |                         |
                               |   "site/seattle" 33 B   |                         |
                               |          LOST           |                         |
>  7      0.390       lost     |---------------------X   |                         |
                               | PUBLISH QoS 1 id 7 DUP  |                         |
                               |   "site/seattle" 33 B   |                         |
   8      1.390      1.445     |------------------------>|                         |
          1.455                |                         * checked: the station    |
                               |                         | may publish here        |
   9      1.455      1.510     |<----- PUBACK id 7 ------|                         |
"""[1:-1]


def test_same_trace_same_text_also_from_a_file() -> None:
    trace = weather(0.055, lossy=True)
    assert text_ladder(trace) == text_ladder(weather(0.055, lossy=True)) == text_ladder(ladder(trace))
    assert text_ladder(loads(dumps(trace, secrets=True))) == text_ladder(trace)


def test_without_times_a_slow_run_reads_like_a_quick_one() -> None:
    assert text_ladder(weather(0.0), times=False) == text_ladder(weather(0.7), times=False)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_lines_keep_to_the_width(width: int) -> None:
    assert max(map(len, text_ladder(weather(), width=width).splitlines())) <= width


def test_many_parties_need_more_width_than_asked_for() -> None:
    script = Script()
    for number in range(12):
        script.pass_on(f"client-{number}", BROKER, Pingreq())
    lines = text_ladder(script.trace, width=80).splitlines()
    assert all(f"client-{number}" in lines[0] for number in range(12))
    assert sum("PINGREQ" in line for line in lines) == 12


def test_steps_only_add_lines() -> None:
    diagram = ladder(weather(0.055, lossy=True))
    steps = [text_ladder(diagram, upto=number) for number in range(len(diagram.arrows) + 1)]
    for before, after in zip(steps, steps[1:], strict=False):
        assert after.startswith(before + "\n")
    assert steps[-1] == text_ladder(diagram)
    assert len(steps[0].splitlines()) == 1


def test_notes_belong_to_the_step_before_them() -> None:
    diagram = ladder(weather())
    assert "may publish" not in text_ladder(diagram, upto=6)
    assert "may publish" in text_ladder(diagram, upto=7)


def test_clients_that_publish_stand_left_of_the_broker() -> None:
    assert ladder(weather()).parties == ("station", BROKER, "dashboard")


def test_before_anybody_publishes_one_client_stands_left() -> None:
    script = Script()
    for name in ("a", "b"):
        script.pass_on(name, BROKER, Connect(name))
        script.pass_on(name, BROKER, Subscribe(1, (SubscribeFilter("t"),)))
    assert ladder(script.trace).parties == ("a", BROKER, "b")


def test_brokers_of_a_bridge_stand_in_the_middle() -> None:
    script = Script()
    for name, server in (("p", "west"), ("west", "east"), ("s", "east")):
        script.pass_on(name, server, Connect(name))
    script.pass_on("p", "west", Publish("t"))
    assert ladder(script.trace).parties == ("p", "west", "east", "s")


def test_parties_choose_columns_and_order() -> None:
    diagram = ladder(weather(), parties=["broker", "station"])
    assert diagram.parties == ("broker", "station")
    assert {arrow.sender for arrow in diagram.arrows} == {"broker", "station"}
    with pytest.raises(
        TraceError, match="'eve' does not occur in this trace; those who do: station, broker, dash"
    ):
        ladder(weather(), parties=["eve"])


def test_kinds_of_notes_can_be_chosen() -> None:
    assert "*" not in text_ladder(ladder(weather(), notes=()))
    shown = text_ladder(ladder(weather(), notes=[EventKind.OPENED, EventKind.CLOSED]), width=120)
    assert "opens a connection to broker" in shown
    assert "closes the connection with station" in shown


def test_nothing_happened() -> None:
    assert text_ladder([]) == "(nothing has happened yet)"


def test_a_party_alone_thinks() -> None:
    trace = Trace(lambda: 0.0)
    trace.record(EventKind.DERIVED, "alice", keys=("K_1", "K_2"), detail="from the shared secret")
    assert text_ladder(trace).splitlines() == [
        "     time s  alice",
        "      0.000    * derives K_1, K_2 from the shared secret",
    ]


def test_listener_sees_sizes_under_tls() -> None:
    script = Script()
    script.pass_on("alice", BROKER, Publish("secret"), protected=True)
    shown = text_ladder(seen_on_network(script.trace))
    assert "TLS 11 B" in shown
    assert "secret" not in shown


def test_message_to_oneself_is_beside_the_lifeline() -> None:
    script = Script()
    script.pass_on("a", "a", Publish("t"))
    assert '* (to itself) PUBLISH QoS 0 "t" 6 B' in text_ladder(script.trace)


# Without the character of the lifelines, so that each one in the text is a lifeline.
WORDS = st.characters(exclude_characters="|")


@given(
    st.lists(st.text(WORDS, min_size=1, max_size=30), min_size=2, max_size=4, unique=True),
    st.text(WORDS, max_size=60),
    st.integers(20, 160),
)
def test_any_names_and_notes_leave_the_lifelines_straight(names: list[str], detail: str, width: int) -> None:
    script = Script()
    for name in names[1:]:
        script.pass_on(name, names[0], Connect("温度"))
    script.trace.record(EventKind.NOTE, names[-1], detail=detail)
    diagram = ladder(script.trace)
    positions = set()
    for line in text_ladder(diagram, width=width).splitlines()[1:]:
        assert line.isprintable()
        at = 0
        for character in line:
            positions |= {at} if character == "|" else set()
            at += cells(character)
    assert len(positions) == len(diagram.parties)


def test_long_labels_reach_over_lifelines_where_parties_stand_close() -> None:
    script = Script()
    for name in ("p", "s1", "s2", "s3"):
        script.pass_on(name, BROKER, Pingreq())
    script.pass_on("p", BROKER, Publish("site/seattle/temperature", b"12.8", 1, retain=True, packet_id=1))
    refusal = "no retained messages here, as the settings say"
    script.trace.record(EventKind.REJECTED, BROKER, "p", detail=refusal)
    assert text_ladder(ladder(script.trace), width=60, times=False) == CROWDED


CROWDED = r"""
     p            broker            s1              s2              s3
  1  |--- PINGREQ -->|               |               |               |
  2  |               |<-- PINGREQ ---|               |               |
  3  |               |<---------- PINGREQ -----------|               |
  4  |               |<------------------ PINGREQ -------------------|
   PUBLISH QoS 1 id 1 RETAIN         |               |               |
   "site/seattle/temperature" 35 B   |               |               |
  5  |-------------->|               |               |               |
     |               * REJECTED: no retained messages here, as       |
     |               | the settings say              |               |
"""[1:-1]
