"""`mqttsec pub`: publish messages under a scheme."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator

from mqttsec.e2e.commands.options import add_identity, add_setup, identity_of, same_setup, setup_of
from mqttsec.e2e.parties import Publisher
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConfigurationError, TimedOut

_OFTEN = 0.01


def main(arguments: list[str]) -> int:
    """Publish once somebody may read it; returns 0.

    Raises `TimedOut` when nobody asks, `ConnectionFailed`, `ConfigurationError`.
    """
    parser = argparse.ArgumentParser(
        prog="mqttsec pub",
        description="Publish under a scheme, end to end: the broker cannot read it. Waits until somebody "
        "has asked for the topic, since only then there is a key that it could be read with.",
    )
    add = parser.add_argument
    add("topic", metavar="TOPIC", help="Topic Name")
    add("message", nargs="?", metavar="MESSAGE", help="without it each line of standard input is a message")
    add("--host", default="127.0.0.1", help="address of the broker (default: %(default)s)")
    add("--port", type=int, default=1883, help="its TCP port (default: %(default)s)")
    add("--broker", default=BROKER, help="name in the broker's certificate (default: %(default)s)")
    add("--qos", type=int, choices=(0, 1, 2), default=1, help="default: %(default)s")
    add("--subscribers", type=int, default=1, help="wait for so many subscribers (default: %(default)s)")
    add("--timeout", type=float, default=30.0, help="for so many seconds (default: %(default)s)")
    add_setup(parser, required=True)
    add_identity(parser, None)
    options = parser.parse_args(arguments)
    if options.subscribers < 1:
        raise ConfigurationError("--subscribers must be at least 1: nobody else could read the message")
    identity, trust = identity_of(options)
    publisher = Publisher(
        identity, trust, setup_of(options), host=options.host, port=options.port, broker=options.broker
    )
    with same_setup(setup_of(options)), publisher:
        _wait(publisher, options.topic, options.subscribers, options.timeout)
        for message in _messages(options.message, sys.stdin):
            publisher.publish(options.topic, message, options.qos)
    return 0


def _wait(publisher: Publisher, topic: str, subscribers: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while len(publisher.members(topic)) < subscribers:
        if time.monotonic() >= deadline:
            came = len(publisher.members(topic))
            raise TimedOut(
                f"{publisher.name}: {came} of {subscribers} asked for {topic!r} within {timeout:g} s: "
                "start `mqttsec sub` with the same --scheme, or give a longer --timeout"
            )
        time.sleep(_OFTEN)


def _messages(given: str | None, lines: Iterable[str]) -> Iterator[str]:
    if given is not None:
        yield given
    else:
        yield from (line.rstrip("\n") for line in lines)
