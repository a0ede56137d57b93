"""Saving and loading: the same trace, the same bytes, no secrets, no surprises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.errors import TraceError
from mqttsec.packets import Auth, Connack, Connect, Properties, Publish, decode, encode, explain
from mqttsec.trace import Event, EventKind, Trace, arrows, blank, dumps, load, loads, save
from tests.trace.runs import BROKER, Script, weather

NAMES = st.text(max_size=12)
EVENTS = st.builds(
    Event,
    number=st.just(0),
    time=st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(EventKind),
    party=NAMES,
    peer=NAMES,
    packet=st.binary(max_size=40),
    protocol=st.sampled_from([4, 5]),
    connection=st.integers(0, 10**9),
    detail=st.text(st.characters(), max_size=20),
    fields=st.lists(st.tuples(NAMES, NAMES), max_size=3).map(tuple),
    keys=st.lists(NAMES, max_size=3).map(tuple),
    operations=st.lists(st.tuples(NAMES, st.integers(0, 99)), max_size=3).map(tuple),
    protected=st.booleans(),
    hidden_bytes=st.integers(0, 10**6),
)


def numbered(events: list[Event], gaps: list[int]) -> Trace:
    out, number = [], 0
    for event, gap in zip(events, gaps, strict=True):
        number += gap
        out.append(Event(**{**event.__dict__, "number": number}))
        number += 1
    return Trace.of(out, forgotten=3)


TRACES = st.lists(st.tuples(EVENTS, st.integers(0, 5)), max_size=6).map(
    lambda pairs: numbered([event for event, _ in pairs], [gap for _, gap in pairs])
)


@given(TRACES)
def test_round_trip(trace: Trace) -> None:
    data = dumps(trace, secrets=True)
    again = loads(data)
    assert again.events == trace.events
    assert again.forgotten == trace.forgotten
    assert dumps(again, secrets=True) == data


@given(TRACES)
def test_without_secrets_saving_twice_changes_nothing_more(trace: Trace) -> None:
    data = dumps(trace)
    again = loads(data)
    assert dumps(again) == data
    assert [len(event.packet) for event in again] == [len(event.packet) for event in trace]


def test_same_run_same_bytes() -> None:
    assert dumps(weather(0.055, lossy=True)) == dumps(weather(0.055, lossy=True))
    one = Event(0, 0, EventKind.NOTE, "a")
    assert (
        dumps([one])
        == dumps([Event(0, -0.0, EventKind.NOTE, "a")])
        == dumps([Event(0, 0.0, EventKind.NOTE, "a")])
    )


def test_file_is_one_event_a_line() -> None:
    data = dumps(
        [Event(0, 0.25, EventKind.SENT, "a", BROKER, b"\xc0\x00"), Event(1, 1.0, EventKind.NOTE, "ü")]
    )
    assert data == (
        b'{"format":"mqttsec trace","version":1,"forgotten":0,"events":[\n'
        b'{"kind":"sent","number":0,"packet":"c000","party":"a","peer":"broker","time":0.25},\n'
        b'{"kind":"note","number":1,"party":"\\u00fc","time":1.0}\n'
        b"]}\n"
    )
    assert dumps([]) == b'{"format":"mqttsec trace","version":1,"forgotten":0,"events":[\n\n]}\n'
    assert loads(dumps([])).events == ()


def test_password_is_blanked_and_said_to_be(tmp_path: Path) -> None:
    trace = weather()
    file = tmp_path / "run.json"
    blanked = save(trace, file)
    assert b"hunter2".hex().encode() not in file.read_bytes()
    saved = load(file)
    connects = [number for number, event in enumerate(trace) if b"hunter2" in event.packet]
    assert list(blanked) == connects and len(connects) == 2
    for number in connects:
        before, after = trace.events[number], saved.events[number]
        assert after.packet == before.packet.replace(b"hunter2", b"*******")
        assert after.fields == (("blanked", "Password"),)
    rest = [number for number in range(len(trace)) if number not in connects]
    assert [saved.events[number] for number in rest] == [trace.events[number] for number in rest]
    # Blanked at both ends alike, a packet is still one packet.
    assert len(arrows(saved)) == len(arrows(trace))


def test_secrets_are_kept_if_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert save(weather(), file, secrets=True) == ()
    assert load(file).events == weather().events


@pytest.mark.parametrize("protocol", [4, 5])
def test_only_the_password_changes(protocol: int) -> None:
    frame = encode(
        Connect("password", username="password", password=b"password", protocol=protocol), protocol
    )
    clean, what = blank(frame, protocol)
    assert what == "Password"
    assert decode(clean, protocol) == Connect(
        "password", username="password", password=b"********", protocol=protocol
    )
    assert [(row.name, row.offset, row.length) for row in explain(clean, protocol)] == [
        (row.name, row.offset, row.length) for row in explain(frame, protocol)
    ]


TOKEN = Properties(authentication_method="TOKEN", authentication_data=b"as good as a password")


@pytest.mark.parametrize(
    "packet", [Connect("a", properties=TOKEN), Connack(properties=TOKEN), Auth(0x18, TOKEN)]
)
def test_data_of_an_unknown_method_is_blanked(packet: Connect | Connack | Auth) -> None:
    clean, what = blank(encode(packet))
    assert what == "Authentication Data"
    assert b"password" not in clean
    after = decode(clean)
    assert isinstance(after, (Connect, Connack, Auth))
    assert after.properties == Properties(authentication_method="TOKEN", authentication_data=b"*" * 21)


@pytest.mark.parametrize("method", ["SCRAM-SHA-256", "mqttsec-anything"])
def test_data_that_is_made_to_be_overheard_is_kept(method: str) -> None:
    frame = encode(Auth(0x18, Properties(authentication_method=method, authentication_data=b"nonce")))
    assert blank(frame) == (frame, "")
    assert blank(frame, public_methods=())[1] == "Authentication Data"


def test_public_methods_can_be_named() -> None:
    script = Script()
    script.sent("a", BROKER, Auth(0x18, TOKEN))
    assert loads(dumps(script.trace, public_methods=["TOKEN"])).events == script.trace.events


@pytest.mark.parametrize(
    "spoil",
    [lambda frame: frame[:-1], lambda frame: frame + b"x", lambda frame: frame[:8] + b"\x09" + frame[9:]],
)
def test_of_a_malformed_connect_nothing_is_kept(spoil: object) -> None:
    frame = spoil(encode(Connect("a", username="u", password=b"hunter2")))  # type: ignore[operator]
    clean, what = blank(frame)
    assert clean == frame[:2] + b"*" * (len(frame) - 2)
    assert what == "body of a malformed packet"


def test_application_messages_are_kept() -> None:
    frame = encode(Publish("a", b"password", properties=Properties(user_property=(("password", "x"),))))
    assert blank(frame) == (frame, "")
    assert blank(b"") == (b"", "")


@given(st.binary(max_size=80), st.sampled_from([4, 5]))
def test_blanking_takes_any_bytes_and_keeps_their_number(frame: bytes, protocol: int) -> None:
    clean, what = blank(frame, protocol)
    assert len(clean) == len(frame)
    assert (clean == frame) or what


EVENT = {"kind": "note", "number": 0, "party": "a", "time": 0.0}


def document(**changes: object) -> bytes:
    whole = {"format": "mqttsec trace", "version": 1, "forgotten": 0, "events": [EVENT], **changes}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "cut short or no JSON"),
        (dumps(weather())[:-20], "cut short or no JSON"),
        (b"\xff\xfe\xff", "cut short or no JSON"),
        (b"[" * 100_000, "cut short or no JSON"),
        (b"[1, 2]", "not a saved trace"),
        (document(format="other"), "not a saved trace"),
        (document(version=2), "has version 2, this mqttsec reads up to 1; install a newer mqttsec"),
        (document(version=0), "version 0 is no number"),
        (document(version=True), "version True is no number"),
        (document(version="1"), "version '1' is no number"),
        (document(version=...), "version None is no number"),
        (document(extra=1), "'extra' is not part"),
        (document(forgotten=-1), "'forgotten' must be"),
        (document(forgotten=...), "'forgotten' must be"),
        (document(events={}), "'events' must be a list"),
        (document(events=...), "'events' must be a list"),
        (document(events=[1]), "event 0: must be an object"),
        (document(events=[EVENT, EVENT]), "event 1: 'number' must grow, but 0 follows 0"),
        (document(events=[{**EVENT, "colour": 1}]), "event 0: 'colour' is not part of an event"),
        (document(events=[{"kind": "note", "number": 0, "time": 0.0}]), "'party' is missing"),
        (document(events=[{**EVENT, "kind": "dreamt"}]), "'dreamt', which is no kind of event"),
        (document(events=[{**EVENT, "kind": []}]), "which is no kind of event"),
        (document(events=[{**EVENT, "time": "soon"}]), "'time' must be a finite number"),
        (document(events=[{**EVENT, "time": True}]), "'time' must be a finite number"),
        (document(events=[{**EVENT, "time": float("nan")}]), "'time' must be a finite number"),
        (document(events=[{**EVENT, "time": 10**400}]), "'time' must be a finite number"),
        (document(events=[{**EVENT, "party": 1}]), "'party' must be text"),
        (document(events=[{**EVENT, "packet": "abc"}]), "'packet' must be hexadecimal"),
        (document(events=[{**EVENT, "packet": 7}]), "'packet' must be"),
        (document(events=[{**EVENT, "number": -1}]), "'number' must be a whole number"),
        (document(events=[{**EVENT, "connection": 1.5}]), "'connection' must be a whole number"),
        (document(events=[{**EVENT, "protected": 1}]), "'protected' must be true or false"),
        (document(events=[{**EVENT, "keys": "K"}]), "'keys' must be a list"),
        (document(events=[{**EVENT, "fields": [["a"]]}]), "'fields' must be a list of pairs"),
        (document(events=[{**EVENT, "operations": [["E", "2"]]}]), "'operations' must be a whole number"),
    ],
)
def test_what_is_no_saved_trace_is_refused_with_advice(data: bytes, complaint: str) -> None:
    with pytest.raises(TraceError) as caught:
        loads(data)
    assert complaint in str(caught.value)
    assert ";" in str(caught.value)


@given(st.data())
def test_damaged_file_is_read_or_refused_never_worse(data: st.DataObject) -> None:
    whole = bytearray(dumps(weather()))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        loads(bytes(whole))
    except TraceError:
        pass


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the trace .*gone.json: No such file"):
        load(tmp_path / "gone.json")
    with pytest.raises(TraceError, match="cannot write the trace to .*choose another folder"):
        save([], tmp_path / "no" / "run.json")


def test_event_that_could_not_be_loaded_is_not_saved() -> None:
    with pytest.raises(TraceError, match="event 0 cannot be saved: 'time' must be a finite"):
        dumps([Event(0, float("inf"), EventKind.NOTE, "a")])
