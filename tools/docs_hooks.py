"""What `mkdocs build` fills in from the code, so that the documentation cannot disagree with it.

    [names of mqttsec.mqtt5]      every public name of a room, by its docstring
    [commands]                    every subcommand with what its --help prints

Named in mkdocs.yml; an unknown word in such brackets stops the build.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from typing import Any

from mqttsec import cli

PLACE = re.compile(r"^\[(names of (?P<room>mqttsec[.\w]*)|commands)\]$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with every place filled in."""
    return PLACE.sub(_fill, markdown)


def _fill(place: re.Match[str]) -> str:
    return names(place["room"]) if place["room"] else commands()


def names(room: str) -> str:
    """A directive of mkdocstrings for each public name that stands in `room`'s face.

    A name is documented where it is defined; constants, which have no home, are left out.
    """
    module = importlib.import_module(room)
    lines = []
    for name in sorted(module.__all__, key=lambda name: (name.isupper(), name.lower())):
        home = getattr(getattr(module, name), "__module__", None)
        if isinstance(home, str) and home.startswith("mqttsec"):
            lines.append(f"::: {home}.{name}")
    return "\n\n".join(lines)


def commands() -> str:
    """Each subcommand: its summary, and its own help."""
    parts = []
    for command in cli.COMMANDS:
        parts.append(
            f"## mqttsec {command.words}\n\n{command.summary[0].upper()}{command.summary[1:]}.\n\n"
            f"```text\n{_help(command.words).strip()}\n```"
        )
    return "\n\n".join(parts)


def _help(words: str) -> str:
    os.environ["COLUMNS"] = "100"
    os.environ["NO_COLOR"] = "1"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([*words.split(), "--help"])
    return printed.getvalue()
