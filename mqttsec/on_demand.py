"""Public names of a room whose modules are imported when a name is first asked for (PEP 562).

`import mqttsec` and a notebook's first cell wait for nothing that they do not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(room: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of package `room`: `home` says in which of its modules each public name lives.

    It raises `AttributeError` for any other name, as Python does. A name that was found stays in the
    package, so that it is looked for once.
    """

    def getattr_of_room(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{room}.{home[name]}"), name)
        setattr(sys.modules[room], name, value)
        return value

    return getattr_of_room
