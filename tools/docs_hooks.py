"""What `mkdocs build` fills in from the code, so that the documentation cannot disagree with it.

    [names of mqttsec.mqtt5]      every public name of a room, by its docstring
    [commands]                    every subcommand with what its --help prints
    [labs]                        the object of every lab, by the docstrings of what a notebook calls
    [delays beside the paper]     the delays that were recorded and those that are printed, Scheme 1 = 1

Named in mkdocs.yml; an unknown word in such brackets stops the build.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from typing import Any

from mqttsec import cli, labs

PLACE = re.compile(
    r"^\[(names of (?P<room>mqttsec[.\w]*)|commands|labs|delays beside the paper)\]$", re.MULTILINE
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with every place filled in."""
    return PLACE.sub(_fill, markdown)


def _fill(place: re.Match[str]) -> str:
    if place["room"]:
        return names(place["room"])
    return {"commands": commands, "labs": lab_objects, "delays beside the paper": delays}[place[1]]()


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


def lab_objects() -> str:
    """A directive of mkdocstrings for the object of each lab, in the order of the labs."""
    found = {name: getattr(labs, name) for name in labs.__all__}
    in_order = sorted(
        (item.book.name, name, item.__module__)
        for name, item in found.items()
        if isinstance(item, type) and hasattr(item, "book")
    )
    return "\n\n".join(f"::: {module}.{name}" for _, name, module in in_order)


def delays() -> str:
    """A table of mean delays where Scheme 1 is 1, of each who says so, for 100 and 200 subscribers."""
    lines = ["| Subscribers | | S1 | S4 | S3 | S2 |", "|---:|:---|---:|---:|---:|---:|"]
    lab = labs.Overhead(seed=7)
    for subscribers in (100, 200):
        for row in lab.paper(subscribers).rows:
            lines.append(f"| {subscribers} | " + " | ".join(map(str, row)) + " |")
    lab.close()
    return "\n".join(lines)


def _help(words: str) -> str:
    os.environ["COLUMNS"] = "88"
    os.environ["NO_COLOR"] = "1"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([*words.split(), "--help"])
    return printed.getvalue()
