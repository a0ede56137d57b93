"""Virtual time: exact, first come first served, and never a hang."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.errors import ConfigurationError, DeadlockError
from mqttsec.net import VirtualClockLoop, run_virtual


def test_an_hour_passes_in_no_time_and_exactly() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        for _ in range(3600):
            await asyncio.sleep(1)
        return loop.time()

    began = time.perf_counter()
    assert run_virtual(main()) == 3600.0
    assert time.perf_counter() - began < 20


@given(st.lists(st.sampled_from([0.0, 0.1, 0.1 + 0.2, 0.3, 1e-10, 2e-10, 7.0, 1e6]), max_size=40))
def test_timers_fire_at_their_moment_in_order_of_time_then_of_making(delays: list[float]) -> None:
    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, int]] = []
        for index, delay in enumerate(delays):
            loop.call_at(delay, lambda index=index: fired.append((loop.time(), index)))
        await asyncio.sleep(2e6)
        return fired

    assert run_virtual(main()) == sorted((delay, index) for index, delay in enumerate(delays))


def test_many_timers_of_one_moment_are_first_in_first_out_though_some_are_cancelled() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        fired: list[int] = []
        handles = [loop.call_later(5.0, fired.append, n) for n in range(2000)]
        for handle in handles[::3]:
            handle.cancel()
        await asyncio.sleep(5.0)
        return fired

    assert run_virtual(main()) == [n for n in range(2000) if n % 3]


def test_time_goes_on_where_floats_are_coarser_than_a_nanosecond() -> None:
    async def main() -> float:
        await asyncio.sleep(4e8)
        await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time()

    assert run_virtual(main(), horizon=None) == 4e8 + 0.5
    assert run_virtual(main(), start=1e9, horizon=None) == 1.4e9 + 0.5


def test_a_wait_that_nobody_can_end_is_an_error_that_names_it() -> None:
    async def answer_from_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.sleep(2.5)
        asyncio.create_task(answer_from_nobody(), name="alice")
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError) as caught:
        run_virtual(main())
    text = str(caught.value)
    assert "at virtual time 2.5 s nothing is left" in text
    assert "alice waits in" in text and "answer_from_nobody (test_clock.py" in text
    assert "Task-1 waits in" in text


def test_a_wait_beside_a_timer_that_ticks_for_ever_ends_at_the_horizon() -> None:
    async def tick() -> None:
        while True:
            await asyncio.sleep(60)

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        await asyncio.Event().wait()
        ticking.cancel()

    with pytest.raises(DeadlockError, match="beyond the horizon of 3600 s"):
        run_virtual(main(), horizon=3600)


def test_an_endless_sleep_is_a_deadlock() -> None:
    with pytest.raises(DeadlockError):
        run_virtual(asyncio.sleep(float("inf")), horizon=None)


def test_real_sockets_are_refused() -> None:
    async def main() -> None:
        a, b = __import__("socket").socketpair()
        with a, b:
            asyncio.get_running_loop().add_reader(a, print)

    with pytest.raises(ConfigurationError, match="MemoryNetwork"):
        run_virtual(main())


def test_time_stands_still_while_a_thread_works() -> None:
    async def main() -> tuple[float, float, str]:
        loop = asyncio.get_running_loop()
        ticks: list[float] = []
        loop.call_later(0.001, lambda: ticks.append(loop.time()))
        name = await asyncio.to_thread(lambda: (time.sleep(0.05), threading.current_thread().name)[1])
        at = loop.time()
        await asyncio.sleep(0.01)
        return at, ticks[0], name

    at, tick, name = run_virtual(main())
    assert (at, tick) == (0.0, 0.001)
    assert name != threading.current_thread().name


def test_another_thread_can_hand_over_work_while_a_job_runs() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        got: asyncio.Future[str] = loop.create_future()

        def job() -> None:
            loop.call_soon_threadsafe(got.set_result, "from the thread")

        await asyncio.to_thread(job)
        return await got

    assert run_virtual(main()) == "from the thread"


def test_what_is_left_is_cancelled_oldest_first_and_generators_are_closed() -> None:
    log: list[str] = []
    kept: list[object] = []  # A generator that is forgotten would be closed before the end.

    async def forever(name: str) -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(0.5)
            log.append(f"{name} at {asyncio.get_running_loop().time():g}")

    async def numbers():  # type: ignore[no-untyped-def]
        try:
            yield 1
        finally:
            log.append("generator")

    async def main() -> int:
        tasks = [asyncio.create_task(forever(name)) for name in "cabde"]
        generator = numbers()
        await generator.__anext__()
        await asyncio.sleep(1)
        kept.append(generator)
        return len(tasks)

    assert run_virtual(main()) == 5
    assert log == [f"{name} at 1.5" for name in "cabde"] + ["generator"]


def test_exceptions_come_through_and_the_loop_is_closed() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_virtual(main())
    assert loops[0].is_closed()


def test_it_runs_inside_a_running_loop_as_in_a_notebook_cell() -> None:
    async def virtual() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    async def failing() -> None:
        await asyncio.Event().wait()

    async def cell() -> float:
        with pytest.raises(DeadlockError):
            run_virtual(failing())
        return run_virtual(virtual())

    before = threading.active_count()
    assert asyncio.run(cell()) == 3600.0
    assert threading.active_count() <= before


def test_the_notebooks_interrupt_button_unwinds_a_run() -> None:
    # Signals reach the main thread only, so this needs a process of its own.
    program = """
        import asyncio, signal, threading
        from mqttsec.net import run_virtual

        async def virtual():
            try:
                main_thread = threading.main_thread().ident
                asyncio.get_running_loop().call_later(
                    10, signal.pthread_kill, main_thread, signal.SIGINT
                )
                while True:
                    await asyncio.sleep(1)
            finally:
                print("unwound", flush=True)

        async def cell():
            try:
                run_virtual(virtual(), horizon=None)
            except KeyboardInterrupt:
                print("interrupted", threading.active_count(), flush=True)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(cell())
        loop.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("unwound\ninterrupted 1\n", "")


def test_timeouts_work() -> None:
    async def main() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 12.5)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 12.5


def test_the_private_parts_of_asyncio_that_the_clock_relies_on_exist() -> None:
    """Fails first, and by name, when a new Python changes them."""
    loop = VirtualClockLoop()
    try:
        assert loop._scheduled == []
        assert loop._clock_resolution > 0
        handle = loop.call_at(5.0, print)
        assert loop._scheduled == [handle]
        assert handle.when() == 5.0
        assert (handle < loop.call_at(5.0, print)) is True
    finally:
        loop.close()
