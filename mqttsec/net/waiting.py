"""Says where a task or coroutine stands: the useful half of every "nothing answers" message."""

from __future__ import annotations

import asyncio
import os
from typing import Any

_ASYNCIO = os.path.dirname(asyncio.__file__)


def standing_place(coroutine: object) -> str:
    """Name the function, file and line in which a suspended coroutine waits.

    The innermost frame that is not asyncio's own is the one that a reader can do something about.
    Returns an empty text for an awaitable without a frame (finished, or not written in Python).
    """
    place = ""
    waiting: Any = coroutine
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        frame = frame or getattr(waiting, "gi_frame", None)
        if frame is None:
            break
        code = frame.f_code
        if not place or not code.co_filename.startswith(_ASYNCIO):
            name = getattr(code, "co_qualname", code.co_name)
            place = f"{name} ({os.path.basename(code.co_filename)}, line {frame.f_lineno})"
        waiting = (
            getattr(waiting, "cr_await", None)
            or getattr(waiting, "ag_await", None)
            or getattr(waiting, "gi_yieldfrom", None)
        )
    return place


def describe_task(task: asyncio.Task[Any]) -> str:
    """One line on a task for an error message: its name and where it waits."""
    place = standing_place(task.get_coro())
    return f"{task.get_name()} waits in {place}" if place else task.get_name()
