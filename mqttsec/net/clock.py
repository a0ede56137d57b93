"""Virtual time: an event loop on which an hour of waiting takes no time at all.

`VirtualClockLoop` is asyncio's own selector loop with two changes. Its `time()` is a counter,
and where the ordinary loop would sleep until its next timer, this one sets the counter to that
timer's moment and goes on. Code that only waits for timers and for other code on the same loop
(the broker, clients and memory links of this package) runs unchanged, and a run is exact:

* a timer fires when `time()` equals the moment that was asked for, not a little later;
* timers of the same moment fire in the order in which they were made (asyncio keeps them in a
  heap that promises no order among equals);
* tasks that are left at the end are cancelled in the order in which they were made.

Where nothing could ever happen again, an ordinary loop sleeps for good. Here that is a
`DeadlockError` which names the tasks that wait and where.

Real sockets, pipes and signals are *refused* (`ConfigurationError`): the clock would run past
their answers. Threads are tolerated: while a `run_in_executor` or `asyncio.to_thread` job works,
virtual time stands still, so a job takes no virtual time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import math
import selectors
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mqttsec.errors import ConfigurationError, DeadlockError
from mqttsec.net.waiting import describe_task

T = TypeVar("T")

DEFAULT_HORIZON = 30 * 24 * 3600.0
"""Virtual seconds (30 days) after which a run is taken to be going in circles."""

_THREAD_PATIENCE = 60.0
"""Real seconds for which a thread's answer is waited for."""

_TASKS_NAMED = 8
"""How many waiting tasks an error message lists."""


class _Moment(float):
    """A time that also knows which timer asked for it first."""

    __slots__ = ("order",)
    order: int

    def __new__(cls, when: float, order: int) -> _Moment:
        moment = super().__new__(cls, when)
        moment.order = order
        return moment

    def __lt__(self, other: float) -> bool:
        # asyncio's TimerHandle compares nothing but its `_when`, so the order among equal
        # moments can be decided here, without touching the loop's heap.
        if isinstance(other, _Moment) and float(self) == float(other):
            return self.order < other.order
        return float.__lt__(self, other)


class _NeverSleepingSelector(selectors.DefaultSelector):
    """Asks the loop what to do where an ordinary selector would sleep; lets no socket in."""

    def __init__(self) -> None:
        super().__init__()
        self.instead_of_sleeping: Callable[[], list[tuple[selectors.SelectorKey, int]]] | None = None
        """Set once the loop has registered the pipe by which other threads wake it."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Refuse every file but the loop's own wake-up pipe."""
        if self.instead_of_sleeping is not None:
            raise ConfigurationError(
                "a real socket or pipe cannot be used under the virtual clock, whose time would run past"
                " its answers; use a MemoryNetwork, or run on the real-time Runtime"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return at once: with nothing if callbacks are ready, else after time has moved."""
        if self.instead_of_sleeping is None or (timeout is not None and timeout <= 0):
            return []
        return self.instead_of_sleeping()

    def poll(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait `timeout` real seconds for a thread to wake the loop."""
        return super().select(timeout)


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a counter that jumps from timer to timer.

    `start` is the first value of `time()`, in seconds. `horizon` is how many virtual seconds a
    run may take before it is stopped with a `DeadlockError`, so that a periodic timer (a keep
    alive) cannot keep a forgotten wait going for ever; `None` lifts it.
    """

    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float

    def __init__(self, start: float = 0.0, horizon: float | None = DEFAULT_HORIZON) -> None:
        self._now = start
        self._horizon = math.inf if horizon is None else start + horizon
        self._timer_order = itertools.count()
        self._task_order = itertools.count(1)
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._threads_working = 0
        self._pollable = _NeverSleepingSelector()
        super().__init__(self._pollable)
        self._pollable.instead_of_sleeping = self._let_time_pass
        self._set_clock(start)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._now

    def call_at(  # type: ignore[override]  # typeshed's own needs TypeVarTuple, of Python 3.11
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Call back at the virtual time `when`; equal times are served first come, first served."""
        return super().call_at(_Moment(when, next(self._timer_order)), callback, *args, context=context)

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> asyncio.Task[Any]:
        """Start a task, named by this loop's own count so that messages are the same every run."""
        order = next(self._task_order)
        task: asyncio.Task[Any] = super().create_task(coro, name=str(name or f"Task-{order}"), **options)
        self._tasks[task] = order
        return task

    def unfinished_tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, oldest first."""
        alive = [(order, task) for task, order in self._tasks.items() if not task.done()]
        return [task for _, task in sorted(alive, key=lambda pair: pair[0])]

    def run_in_executor(  # type: ignore[override]  # as for call_at
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Run `func` in a thread; virtual time stands still until it returns."""
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self._threads_working += 1
        future.add_done_callback(self._thread_returned)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """As the base class, which joins the executor from a thread of its own."""
        self._threads_working += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._threads_working -= 1

    def extend_horizon(self, seconds: float) -> None:
        """Allow at least `seconds` more of virtual time from now on."""
        self._horizon = max(self._horizon, self._now + seconds)

    def _thread_returned(self, _: asyncio.Future[Any]) -> None:
        self._threads_working -= 1

    def _set_clock(self, now: float) -> None:
        self._now = now
        # asyncio runs timers with `when < time() + resolution`. Its resolution of a nanosecond is
        # below the spacing of floats after half a year, where no timer would ever be due; and it
        # runs timers that are less than a nanosecond early. One float step is right at any time.
        self._clock_resolution = math.ulp(now)

    def _let_time_pass(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ready: wait for a thread if one works, else jump to the next timer."""
        woken = self._pollable.poll(_THREAD_PATIENCE if self._threads_working else 0)
        if woken:
            return woken
        if self._threads_working:
            raise DeadlockError(self._complaint(f"a thread has not answered for {_THREAD_PATIENCE:g} real s"))
        following = self._scheduled[0].when() if self._scheduled else math.inf
        if following == math.inf:
            raise DeadlockError(self._complaint("nothing is left that could ever happen"))
        if following > self._horizon:
            raise DeadlockError(
                self._complaint(
                    f"the next timer lies at {float(following):g} s, beyond the horizon of"
                    f" {self._horizon:g} s (allow more with `horizon`)"
                )
            )
        self._set_clock(float(following))
        return []

    def _complaint(self, what: str) -> str:
        tasks = self.unfinished_tasks()
        lines = [f"  {describe_task(task)}" for task in tasks[:_TASKS_NAMED]]
        if len(tasks) > _TASKS_NAMED:
            lines.append(f"  and {len(tasks) - _TASKS_NAMED} more")
        return "\n".join(
            [
                f"at virtual time {self._now:g} s {what}. Give the wait a time-out, or let somebody send what"
                " is waited for. Still waiting:",
                *(lines or ["  (no task)"]),
            ]
        )


def run_virtual(
    main: Coroutine[Any, Any, T], *, start: float = 0.0, horizon: float | None = DEFAULT_HORIZON
) -> T:
    """Run a coroutine under the virtual clock and return its result, as `asyncio.run` would.

    What is left when it ends is cancelled, oldest task first, asynchronous generators are shut
    down, and the loop is closed. In a thread whose own loop is running already (a notebook
    cell) the whole run happens on a thread of its own and this call waits for it.

    `start` is the first value of the clock, `horizon` the virtual seconds the run may take.
    Raises `DeadlockError` if nothing could ever happen again while something is awaited.
    """
    loop = VirtualClockLoop(start, horizon)
    return _run_on_a_thread(loop, main) if _in_a_running_loop() else _run_and_close(loop, main)


def _in_a_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_on_a_thread(loop: VirtualClockLoop, main: Coroutine[Any, Any, T]) -> T:
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            outcome.set_result(_run_and_close(loop, main))
        except BaseException as error:
            outcome.set_exception(error)

    worker = threading.Thread(target=work, name="mqttsec virtual time", daemon=True)
    try:
        # Inside, because an interrupt may come before start() has returned.
        worker.start()
        return outcome.result()
    except KeyboardInterrupt:
        # The notebook's Interrupt button: unwind the run instead of leaving it behind.
        # It may be ending by itself just now, its loop closed: then there is nothing to unwind.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: _cancel(loop.unfinished_tasks()))
            worker.join(5)
        raise


def _run_and_close(loop: VirtualClockLoop, main: Coroutine[Any, Any, T]) -> T:
    try:
        try:
            return loop.run_until_complete(main)
        finally:
            loop.extend_horizon(3600)
            _end_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        main.close()
        loop.close()


def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


def _end_tasks(loop: VirtualClockLoop) -> None:
    """Cancel what is left and let it clean up; report what went wrong there."""
    tasks = loop.unfinished_tasks()
    if not tasks:
        return
    _cancel(tasks)

    async def settle() -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(settle())
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "a task raised while it was cancelled at the end of run_virtual()",
                    "exception": task.exception(),
                    "task": task,
                }
            )
