"""Real time on a thread of its own: one event loop in the background, called from anywhere.

A notebook cell, a widget callback and a test all run on threads that are not ours and whose
loops, if they have any, must not be used. `Runtime` keeps one daemon thread with its own loop;
brokers and clients live there, everybody else calls in:

    from mqttsec.net import runtime
    runtime().run(broker.start())             # a cell: wait for the answer, at most 30 s
    future = runtime().submit(measure())      # a callback: do not wait

The thread starts with the first use and stops with `stop()`, with the interpreter, or when the
`Runtime` is forgotten. After a stop or a fork, the next use starts a new one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mqttsec.errors import MqttsecError, RuntimeStopped
from mqttsec.net.waiting import standing_place

T = TypeVar("T")

DEFAULT_TIMEOUT = 30.0
"""Seconds that `run` and `call` wait unless told otherwise."""

_STOP_TIMEOUT = 5.0
"""Seconds that tasks have to end after their cancellation."""


class _Worker:
    """One thread and its loop, from start to stop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._patience = _STOP_TIMEOUT
        self._running = threading.Event()
        self.loop.call_soon(self._running.set)
        self.thread.start()
        self._running.wait()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self._end())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _end(self) -> None:
        """Cancel every task, also those that came while others were ending."""
        deadline = self.loop.time() + self._patience
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            _, stubborn = await asyncio.wait(others, timeout=deadline - self.loop.time())
            if stubborn:
                break
        await self.loop.shutdown_asyncgens()

    def is_here(self) -> bool:
        """True on this worker's own thread."""
        return threading.current_thread() is self.thread

    def stop(self, timeout: float) -> bool:
        """Cancel all tasks, end the loop, join the thread; True if that was done in time."""
        self._patience = timeout
        try:
            self.loop.call_soon_threadsafe(self.loop.stop)
        except RuntimeError:
            pass  # The loop is closed already.
        if not self.is_here():
            # The tasks have `timeout` to end; the loop itself then closes at once.
            self.thread.join(timeout + 1)
        return not self.thread.is_alive()


class Runtime:
    """One daemon thread with an event loop. It starts with the first use; every wait is bounded."""

    def __init__(self, name: str = "mqttsec") -> None:
        self.name = name
        """Name of the thread."""
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._finalizer: weakref.finalize[..., Runtime] | None = None
        _runtimes.add(self)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The background loop; asking starts it."""
        return self._started().loop

    @property
    def is_running(self) -> bool:
        """True from the first use until `stop`."""
        worker = self._worker
        return worker is not None and worker.thread.is_alive()

    def start(self) -> None:
        """Start the thread now rather than with the first use. Does nothing if it runs."""
        self._started()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = DEFAULT_TIMEOUT) -> T:
        """Run a coroutine in the background and wait up to `timeout` seconds for its result.

        An exception of the coroutine is raised here with its own traceback. Raises `MqttsecError`
        when time is up (the coroutine is cancelled) or when called on the background thread,
        which would wait for itself, and `RuntimeStopped` if the runtime is stopped meanwhile.
        """
        if self._is_here():
            name = _name(coroutine)
            coroutine.close()
            raise MqttsecError(
                f"Runtime.run({name}) was called on the runtime's own thread, which would wait for itself;"
                " there, use `await`, or submit() without waiting"
            )
        return self._wait_for(self.submit(coroutine), coroutine, timeout)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin to run a coroutine in the background, from any thread, without waiting.

        The future's `cancel()` cancels the coroutine.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError as error:
            name = _name(coroutine)
            coroutine.close()
            raise RuntimeStopped(
                f"{name} came while the background thread was stopping; call it again"
            ) from error

    def call(self, function: Callable[..., T], *args: Any, timeout: float = DEFAULT_TIMEOUT) -> T:
        """Call a plain function on the background thread and return its result.

        This is how to use objects that belong to the loop (a broker's tables, a memory network).
        On that thread itself the function is simply called.
        """
        if self._is_here():
            return function(*args)

        async def invoke() -> T:
            return function(*args)

        invoke.__qualname__ = getattr(function, "__qualname__", repr(function))
        coroutine = invoke()
        return self._wait_for(self.submit(coroutine), coroutine, timeout)

    def stop(self, timeout: float = _STOP_TIMEOUT) -> None:
        """Cancel what runs, wait up to `timeout` seconds for it, end the thread.

        Raises `MqttsecError` if a task keeps the thread from ending. The next use starts anew.
        """
        with self._lock:
            worker, self._worker = self._worker, None
            if self._finalizer is not None:
                self._finalizer.detach()
                self._finalizer = None
        if worker is not None and not worker.stop(timeout) and not worker.is_here():
            raise MqttsecError(
                f"the background thread {self.name!r} has not ended after {timeout:g} s:"
                " something on it blocks without awaiting"
            )

    def _started(self) -> _Worker:
        with self._lock:
            if self._worker is None or not self._worker.thread.is_alive():
                self._worker = _Worker(self.name)
                # Holds no reference to the runtime: forgetting the runtime stops its thread, and
                # so does the end of the interpreter.
                self._finalizer = weakref.finalize(self, _Worker.stop, self._worker, _STOP_TIMEOUT)
            return self._worker

    def _is_here(self) -> bool:
        worker = self._worker
        return worker is not None and worker.is_here()

    def _wait_for(
        self, future: concurrent.futures.Future[T], coroutine: Coroutine[Any, Any, T], timeout: float
    ) -> T:
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            # From Python 3.11 on this is also what the coroutine itself may raise.
            if future.done():
                raise
            place = standing_place(coroutine)
            future.cancel()
            where = f"; it waited in {place}" if place else ""
            raise MqttsecError(f"{_name(coroutine)} did not answer within {timeout:g} s{where}") from None
        except concurrent.futures.CancelledError:
            if self.is_running:
                raise
            raise RuntimeStopped(
                f"the runtime was stopped while {_name(coroutine)} ran; the next call starts it again"
            ) from None
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _forget_after_fork(self) -> None:
        """In the child of a fork the thread does not exist, and its loop is the parent's."""
        self._lock = threading.Lock()
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        if self._worker is not None:
            # Never closed here: both processes share the poller, closing would deafen the parent.
            _inherited.append(self._worker)
            self._worker = None


_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()
_inherited: list[_Worker] = []
_default: Runtime | None = None
_default_lock = threading.Lock()


def runtime() -> Runtime:
    """The process's own `Runtime`, the one that notebooks share."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Runtime()
        return _default


def _name(coroutine: object) -> str:
    return getattr(coroutine, "__qualname__", None) or repr(coroutine)


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for each in list(_runtimes):
        each._forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
