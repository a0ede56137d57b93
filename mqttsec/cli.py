"""The command `mqttsec`: a table of subcommands, each in the room that it belongs to.

A subcommand is a function `main(arguments: list[str]) -> int` in a module that is imported only
when the subcommand is asked for; it parses its own arguments, so that `mqttsec broker --help` and
`mqttsec labs --help` load nothing of each other.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO, cast

from mqttsec.errors import MqttsecError


@dataclass(frozen=True)
class Command:
    """One subcommand."""

    words: str
    """What the user types after `mqttsec`: one word or two."""
    summary: str
    """One line for the list."""
    module: str
    """The module whose `main` does it."""


COMMANDS = (
    Command("labs", "open JupyterLab on the lab notebooks", "mqttsec.lab_server"),
    Command("demo", "sensor readings through the broker, and what a curious broker reads", "mqttsec.demo"),
    Command("broker", "run the MQTT 5 broker, with a scheme if you like", "mqttsec.e2e.commands.broker"),
    Command("identities", "make keys and certificates for the schemes", "mqttsec.e2e.commands.identities"),
    Command("pub", "publish under a scheme", "mqttsec.e2e.commands.pub"),
    Command("sub", "subscribe under a scheme and print what comes, in plain", "mqttsec.e2e.commands.sub"),
    Command("tamper", "change every field of every message: who notices", "mqttsec.e2e.commands.tamper"),
    Command("bench fanout", "measure fan-out against mosquitto and amqtt", "mqttsec.measure.fanout"),
    Command("bench overhead", "measure what the schemes cost, beside TLS", "mqttsec.measure.overhead"),
    Command("bench report", "draw what was measured: one page of HTML", "mqttsec.measure.page"),
    Command("bench anonymity", "simulate paths through a crowd, beside theory", "mqttsec.anonymity.command"),
    Command("bench mqtta", "measure MQTT-A as its paper does", "mqttsec.mqtta.experiments.command"),
    Command("bench handshake", "measure handshakes beside TLS 1.3", "mqttsec.measure.handshake"),
    Command("mqtta", "trials of the anonymity network beside theory", "mqttsec.mqtta.command"),
    Command("verify", "search for attacks on the handshake", "mqttsec.verify.command"),
    Command("check", "run submitted notebooks again and list what their checks say", "mqttsec.check.command"),
)

USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit status.

    0 is success, 1 a run whose result is bad, 2 an error of use: a wrong argument, or any
    `MqttsecError`, which is printed as one line on standard error.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        _print_help(sys.stdout if given else sys.stderr)
        return 0 if given else USAGE_ERROR
    if given[0] in ("-V", "--version"):
        from mqttsec import __version__

        print(f"mqttsec {__version__}")
        return 0
    try:
        command, rest = _find(given)
        run = cast("Callable[[list[str]], int]", importlib.import_module(command.module).main)
        return run(rest)
    except MqttsecError as error:
        print(f"mqttsec: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`mqttsec demo | head`) has gone: nothing is wrong. Python would
        # complain once more when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _find(given: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the first words name, and the arguments after them."""
    by_words = {tuple(command.words.split()): command for command in COMMANDS}
    for length in (2, 1):
        command = by_words.get(tuple(given[:length]))
        if command is not None:
            return command, list(given[length:])
    family = [command.words for command in COMMANDS if command.words.split()[0] == given[0]]
    if family:
        raise MqttsecError(f"say what to {given[0]}: {', '.join(family)}")
    words = [command.words for command in COMMANDS]
    close = difflib.get_close_matches(given[0], words, n=1)
    hint = f"did you mean '{close[0]}'? Otherwise " if close else ""
    raise MqttsecError(f"there is no command '{given[0]}'; {hint}the commands are: {', '.join(words)}")


def _print_help(out: TextIO) -> None:
    print("usage: mqttsec COMMAND [options]\n\nA laboratory for MQTT security.\n\ncommands:", file=out)
    width = max(len(command.words) for command in COMMANDS)
    for command in COMMANDS:
        print(f"  {command.words:<{width}}  {command.summary}", file=out)
    print("\n`mqttsec COMMAND --help` explains one; `mqttsec --version` prints the version.", file=out)
