"""The background thread: called from anywhere, every wait bounded, gone when it should be."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import weakref
from collections.abc import Iterator

import pytest

from mqttsec.errors import MqttsecError, RuntimeStopped
from mqttsec.net import Runtime, runtime


@pytest.fixture
def background() -> Iterator[Runtime]:
    background = Runtime("test runtime")
    yield background
    background.stop()


async def answer(value: int = 42) -> int:
    await asyncio.sleep(0)
    return value


async def never() -> None:
    await asyncio.Event().wait()


def test_importing_starts_no_thread_and_the_first_use_does() -> None:
    program = """
        import threading
        import mqttsec.net
        assert threading.active_count() == 1, threading.enumerate()
        runtime = mqttsec.net.runtime()
        assert threading.active_count() == 1
        async def answer(): return 42
        assert runtime.run(answer()) == 42
        thread = threading.enumerate()[1]
        assert thread.daemon and thread.name == "mqttsec", thread
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_run_waits_for_the_result_on_one_thread(background: Runtime) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert not background.is_running
    assert [background.run(where()) for _ in range(3)] == ["test runtime"] * 3
    assert background.is_running
    assert background.run(answer(7)) == 7


def test_run_works_where_a_loop_is_running_as_in_a_notebook_cell(background: Runtime) -> None:
    async def cell() -> int:
        return background.run(answer())

    assert asyncio.run(cell()) == 42


def test_many_threads_may_call_at_once(background: Runtime) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(lambda n: background.run(answer(n)), range(200))) == list(range(200))


def test_an_exception_keeps_its_traceback(background: Runtime) -> None:
    async def deep_inside() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        background.run(deep_inside())
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "deep_inside"


def test_a_coroutines_own_timeout_is_not_taken_for_ours(background: Runtime) -> None:
    async def impatient() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)

    with pytest.raises(asyncio.TimeoutError):
        background.run(impatient())


def test_no_answer_in_time_names_who_and_where_and_cancels(background: Runtime) -> None:
    ended = threading.Event()

    async def wait_for_a_subscriber() -> None:
        try:
            await never()
        finally:
            ended.set()

    with pytest.raises(MqttsecError) as caught:
        background.run(wait_for_a_subscriber(), timeout=0.05)
    assert "wait_for_a_subscriber did not answer within 0.05 s" in str(caught.value)
    assert "it waited in never (test_runtime.py, line" in str(caught.value)
    assert ended.wait(5)


def test_run_on_its_own_thread_is_an_error_not_a_deadlock(background: Runtime) -> None:
    async def confused() -> int:
        return background.run(answer())

    with pytest.raises(MqttsecError, match="answer.*own thread"):
        background.run(confused(), timeout=5)


def test_call_runs_plain_functions_there_and_may_be_nested(background: Runtime) -> None:
    assert background.call(threading.get_ident) != threading.get_ident()
    assert background.call(divmod, 17, 5) == (3, 2)
    assert background.call(lambda: background.call(sum, [1, 2, 3])) == 6
    with pytest.raises(ZeroDivisionError):
        background.call(divmod, 1, 0)
    with pytest.raises(MqttsecError, match="sleep did not answer"):
        background.call(time.sleep, 0.3, timeout=0.05)


def test_submit_does_not_wait_and_can_be_cancelled(background: Runtime) -> None:
    future = background.submit(answer(5))
    assert future.result(5) == 5
    cancelled = threading.Event()

    async def measure() -> None:
        try:
            await never()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    measuring = background.submit(measure())
    background.call(int)
    assert measuring.cancel()
    assert cancelled.wait(5)


def test_stop_lets_tasks_clean_up_tells_who_waits_and_the_next_use_starts_anew(background: Runtime) -> None:
    cleaned: list[str] = []

    async def serve() -> None:
        try:
            await never()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append("served")

    future = background.submit(serve())
    waiting: list[BaseException] = []

    def cell() -> None:
        try:
            background.run(never())
        except BaseException as error:
            waiting.append(error)

    other = threading.Thread(target=cell)
    other.start()
    while background.call(lambda: len(asyncio.all_tasks())) < 3:
        pass  # The two, and the one that counts.
    first = background.loop
    background.stop()
    other.join(5)
    assert cleaned == ["served"] and future.cancelled()
    assert isinstance(waiting[0], RuntimeStopped) and "never" in str(waiting[0])
    assert first.is_closed() and not background.is_running
    background.stop()
    assert background.run(answer()) == 42
    assert background.loop is not first


def test_stop_from_its_own_thread_does_not_wait_for_itself(background: Runtime) -> None:
    background.start()
    thread = next(thread for thread in threading.enumerate() if thread.name == "test runtime")
    background.call(background.stop)
    thread.join(5)
    assert not thread.is_alive()


def test_a_task_that_blocks_the_thread_is_reported_by_stop() -> None:
    background = Runtime("blocked")
    release = threading.Event()
    background.submit(asyncio.sleep(0))
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    background.loop.call_soon_threadsafe(lambda: (future.set_result(None), release.wait(20)))
    future.result(5)
    with pytest.raises(MqttsecError, match="'blocked' has not ended.*blocks without awaiting"):
        background.stop(timeout=0.1)
    release.set()


def test_a_forgotten_runtime_stops_its_thread() -> None:
    background = Runtime("forgotten")
    background.run(answer())
    thread = next(thread for thread in threading.enumerate() if thread.name == "forgotten")
    gone = weakref.ref(background)
    del background
    gc.collect()
    assert gone() is None
    thread.join(5)
    assert not thread.is_alive()


def test_the_process_has_one_default() -> None:
    assert runtime() is runtime()


def test_the_interpreter_ends_with_tasks_running_and_lets_them_clean_up() -> None:
    program = """
        import asyncio
        from mqttsec.net import runtime
        async def serve():
            try:
                await asyncio.Event().wait()
            finally:
                print("cleaned up", flush=True)
        runtime().submit(serve())
        runtime().call(int)
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_after_a_fork_the_child_starts_its_own_thread_and_the_parents_still_answers() -> None:
    # In a process of its own, because a fork of pytest would take pytest along.
    program = """
        import os, threading
        from mqttsec.net import runtime
        async def answer(): return os.getpid()
        assert runtime().run(answer()) == os.getpid()
        child = os.fork()
        if child == 0:
            ok = not runtime().is_running and runtime().run(answer(), timeout=10) == os.getpid()
            runtime().stop()
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert runtime().run(answer(), timeout=10) == os.getpid()
        print("both answered")
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("both answered\n", 0), done.stderr
