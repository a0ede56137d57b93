"""Recording: numbers, times, bounds, threads."""

from __future__ import annotations

import threading

from mqttsec.trace import Event, EventKind, Trace


def test_first_event_sets_time_zero() -> None:
    times = iter([100.0, 100.5])
    trace = Trace(lambda: next(times))
    trace.record(EventKind.NOTE, "a")
    trace.record(EventKind.NOTE, "a", "b", detail="later", keys=("K",))
    assert trace.events == (
        Event(0, 0.0, EventKind.NOTE, "a"),
        Event(1, 0.5, EventKind.NOTE, "a", "b", detail="later", keys=("K",)),
    )


def test_oldest_half_is_forgotten_and_counted() -> None:
    trace = Trace(lambda: 0.0, limit=10)
    for _ in range(25):
        trace.record(EventKind.NOTE, "a")
    assert len(trace) <= 10
    assert trace.forgotten + len(trace) == 25
    assert [event.number for event in trace] == list(range(trace.forgotten, 25))


def test_limit_of_one_keeps_memory_bounded() -> None:
    trace = Trace(lambda: 0.0, limit=1)
    for _ in range(5):
        trace.record(EventKind.NOTE, "a")
    assert len(trace) <= 1


def test_clear_starts_again() -> None:
    now = [5.0]
    trace = Trace(lambda: now[0])
    trace.record(EventKind.NOTE, "a")
    trace.clear()
    now[0] = 9.0
    assert trace.record(EventKind.NOTE, "b") == Event(0, 0.0, EventKind.NOTE, "b")


def test_threads_get_numbers_of_their_own_in_the_order_of_time() -> None:
    ticks = iter(range(10**9))
    trace = Trace(lambda: float(next(ticks)))

    def work(name: str) -> None:
        for _ in range(2000):
            trace.record(EventKind.NOTE, name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [event.number for event in trace] == list(range(8000))
    assert [event.time for event in trace] == [float(number) for number in range(8000)]


def test_trace_of_events_goes_on_where_they_end() -> None:
    events = [Event(4, 1.0, EventKind.NOTE, "a"), Event(7, 2.5, EventKind.NOTE, "b")]
    trace = Trace.of(events, forgotten=4)
    assert trace.events == tuple(events)
    assert trace.forgotten == 4
    assert trace.record(EventKind.NOTE, "c") == Event(8, 2.5, EventKind.NOTE, "c")
    assert len(Trace.of([])) == 0


def test_size_is_that_of_the_packet_or_of_what_is_hidden() -> None:
    assert Event(0, 0.0, EventKind.SENT, "a", packet=b"\xc0\x00").size == 2
    assert Event(0, 0.0, EventKind.SENT, "a", hidden_bytes=9).size == 9
