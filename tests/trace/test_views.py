"""Who knows what, and what a filter leaves."""

from __future__ import annotations

import subprocess
import sys

import pandas
import pytest

from mqttsec.errors import TraceError
from mqttsec.packets import Connect, PacketType, Publish, encode
from mqttsec.trace import (
    Event,
    EventKind,
    Trace,
    arrow_frame,
    arrows,
    parties_of,
    seen_by,
    seen_on_network,
    select,
    trace_frame,
)
from tests.trace.runs import BROKER, READING, Script, weather


def test_curious_broker_sees_every_packet_in_plain_and_no_others_secrets() -> None:
    trace = weather()
    view = seen_by(trace, BROKER)
    assert {event.party for event in view} == {BROKER}
    assert [arrow.frame for arrow in arrows(view)] == [arrow.frame for arrow in arrows(trace)]
    assert any(READING in event.packet for event in view)
    assert not any(event.kind is EventKind.DERIVED for event in view)


def test_client_sees_its_own_connection_alone() -> None:
    view = seen_by(weather(), "dashboard")
    assert {event.party for event in view} == {"dashboard"}
    assert {event.peer for event in view if event.packet} == {BROKER}
    assert not any(b"hunter2" in event.packet for event in view)
    assert any(event.keys == ("K_PB",) for event in view)


def test_colluders_know_the_union_in_order() -> None:
    trace = weather()
    together = seen_by(trace, "dashboard", "station")
    alone = (*seen_by(trace, "dashboard"), *seen_by(trace, "station"))
    assert together == tuple(sorted(alone, key=lambda event: event.number))
    assert seen_by(trace, BROKER, "dashboard", "station") == trace.events


def test_foreign_broker_still_saw_what_it_was_sent() -> None:
    script = Script()
    script.sent("alice", BROKER, Publish("a"), detail="alice thinks so", keys=("K_AB",))
    [event] = seen_by(script.trace, BROKER)
    assert (event.party, event.peer, event.packet) == ("alice", BROKER, encode(Publish("a")))
    assert (event.detail, event.keys) == ("", ())


def test_packet_under_way_is_not_seen_by_its_receiver_yet() -> None:
    script = Script()
    script.pass_on("alice", BROKER, Publish("a"))
    script.sent("alice", BROKER, Publish("b"))
    assert [event.packet for event in seen_by(script.trace, BROKER)] == [encode(Publish("a"))]


def test_sender_does_not_know_that_the_network_lost_it() -> None:
    script = Script()
    script.pass_on("alice", BROKER, Publish("a"), lost=True)
    assert [event.kind for event in seen_by(script.trace, "alice")] == [EventKind.SENT]
    script = Script()
    script.lost("alice", BROKER, Publish("a"))
    assert [event.kind for event in seen_by(script.trace, "alice")] == [EventKind.SENT]


def test_unknown_observer_is_told_who_there_is() -> None:
    with pytest.raises(
        TraceError, match="'eve' does not occur in this trace; those who do: dashboard, broker, st"
    ):
        seen_by(weather(), "eve")
    with pytest.raises(TraceError, match="whose view"):
        seen_by(weather())


def test_listener_reads_plain_connections_but_no_thoughts() -> None:
    trace = weather()
    view = seen_on_network(trace)
    assert [arrow.frame for arrow in arrows(view)] == [arrow.frame for arrow in arrows(trace)]
    kinds = {event.kind for event in view}
    assert kinds == {EventKind.OPENED, EventKind.CLOSED, EventKind.SENT, EventKind.RECEIVED}
    assert not any(event.detail or event.keys or event.operations or event.fields for event in view)


@pytest.mark.parametrize("recorder", ["sender", "receiver", "both"])
def test_listener_learns_sizes_and_times_under_tls_whoever_says_so(recorder: str) -> None:
    script = Script(delay=0.02)
    frame = encode(Publish("secret/topic", b"secret"))
    script.sent("alice", BROKER, frame, protected=recorder != "receiver", keys=("K",))
    script.wait(0.02)
    script.received(BROKER, "alice", frame, protected=recorder != "sender")
    view = seen_on_network(script.trace)
    assert not any(b"secret" in event.packet for event in view)
    [arrow] = arrows(view)
    assert (arrow.frame, arrow.hidden_bytes, arrow.size, arrow.delay) == (b"", len(frame), len(frame), 0.02)
    assert seen_by(script.trace, BROKER)[0].packet == frame


def test_select_combines_conditions() -> None:
    trace = weather()
    publishes = select(trace, packet_type="publish", kind=EventKind.SENT)
    assert [event.party for event in publishes] == ["station", BROKER]
    assert select(trace, packet_type=[PacketType.PUBLISH, "PUBACK"], party=BROKER, kind=["sent"]) == tuple(
        event
        for event in trace
        if event.party == BROKER and event.kind is EventKind.SENT and event.packet[0] >> 4 in (3, 4)
    )
    assert {event.peer for event in select(trace, peer="station")} == {"station"}
    late = select(trace, since=0.05, until=0.06)
    assert late and all(0.05 <= event.time <= 0.06 for event in late)
    assert select(trace) == trace.events


def test_select_refuses_what_there_is_not() -> None:
    with pytest.raises(TraceError, match="'PUBLSH' is not one of CONNECT, CONNACK"):
        select(weather(), packet_type="PUBLSH")
    with pytest.raises(TraceError, match="'sended' is not one of OPENED, SENT"):
        select(weather(), kind="sended")


def test_trace_frame_names_units_and_decodes() -> None:
    table = trace_frame(weather())
    assert len(table) == len(weather())
    row = table[(table.packet_type == "PUBLISH") & (table.kind == "sent")].iloc[0]
    assert (row.party, row.topic, row.qos, row.packet_id, row.payload, row.payload_bytes) == (
        "station",
        "site/seattle",
        1,
        7,
        READING.decode(),
        len(READING),
    )
    assert row.size_bytes == len(encode(Publish("site/seattle", READING, 1, packet_id=7)))
    assert table.time_s.dtype == "float64"
    note = table[table.kind == "derived"].iloc[0]
    assert note["keys"] == "K_PB"
    assert pandas.isna(note.size_bytes) and pandas.isna(note.qos)


def test_arrow_frame_measures_delay() -> None:
    table = arrow_frame(weather(0.055, lossy=True))
    assert table.lost.sum() == 1
    assert table.delay_ms.dropna().round(6).unique().tolist() == [55.0]
    assert pandas.isna(table[table.lost].received_s.iloc[0])


@pytest.mark.parametrize("make", [trace_frame, arrow_frame])
def test_tables_keep_columns_and_types_without_rows(make: object) -> None:
    empty, full = make(Trace.of([])), make(weather())  # type: ignore[operator]
    assert list(empty.columns) == list(full.columns)
    assert empty.select_dtypes("number").dtypes.equals(full.select_dtypes("number").dtypes)


def test_tables_hold_hostile_packets_and_binary_payloads() -> None:
    table = trace_frame(
        [
            Event(0, 0.0, EventKind.SENT, "eve", BROKER, b"\x30\x7f\x00"),
            Event(1, 0.0, EventKind.SENT, "eve", BROKER, encode(Publish("a", b"\xff\x00"))),
            Event(2, 0.0, EventKind.SENT, "eve", BROKER, hidden_bytes=40),
        ]
    )
    assert table.label[0].startswith("malformed PUBLISH 3 B")
    assert pandas.isna(table.qos[0])
    assert table.payload[1] == "ff 00"
    assert (table.label[2], table.size_bytes[2]) == ("TLS 40 B", 40)
    assert pandas.isna(table.packet_type[2])


def test_parties_in_order_of_appearance() -> None:
    assert parties_of(weather()) == ("dashboard", BROKER, "station")


def test_tables_without_pandas_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from mqttsec.errors import TraceError\n"
        "from mqttsec.trace import trace_frame\n"
        "try: trace_frame([])\n"
        "except TraceError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "tables need pandas; install it with: pip install pandas\n"


def test_import_loads_no_pandas_and_no_plotly() -> None:
    code = "import sys, mqttsec.trace; print({'pandas', 'numpy', 'plotly', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_password_is_in_no_table() -> None:
    script = Script()
    script.sent("a", BROKER, Connect("a", username="u", password=b"hunter2"))
    assert "hunter2" not in trace_frame(script.trace).to_csv()
