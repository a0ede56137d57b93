"""`mqttsec sub`: subscribe under a scheme, and print the messages in plain."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys

from mqttsec.e2e.commands.options import add_identity, add_setup, identity_of, same_setup, setup_of
from mqttsec.e2e.faces import PATIENCE
from mqttsec.e2e.parties import Subscriber
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConfigurationError, TimedOut


def main(arguments: list[str]) -> int:
    """Print messages until `--count` came, or SIGINT; returns 0.

    Raises `ConnectionFailed` (0x88 when the publisher does not come), `TimedOut`, `ConfigurationError`.
    """
    parser = argparse.ArgumentParser(
        prog="mqttsec sub", description="Subscribe to a topic of a publisher under a scheme, end to end."
    )
    add = parser.add_argument
    add("topic", metavar="TOPIC", help="Topic Name")
    add("--from", dest="publisher", required=True, metavar="NAME", help="whose topic it is")
    add("--host", default="127.0.0.1", help="address of the broker (default: %(default)s)")
    add("--port", type=int, default=1883, help="its TCP port (default: %(default)s)")
    add("--broker", default=BROKER, help="name in the broker's certificate (default: %(default)s)")
    add("--qos", type=int, choices=(0, 1, 2), default=1, help="default: %(default)s")
    add("--count", type=int, help="end after so many messages")
    add("--timeout", type=float, help="end with an error when no message comes for so many seconds")
    add("--verbose", "-v", action="store_true", help="print publisher and topic as well")
    add_setup(parser, required=True)
    add_identity(parser, None)
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        raise ConfigurationError("--count must be at least 1")
    identity, trust = identity_of(options)
    subscriber = Subscriber(
        identity, trust, setup_of(options), host=options.host, port=options.port, broker=options.broker
    )
    with same_setup(setup_of(options)), subscriber:
        subscriber.subscribe(options.publisher, options.topic, options.qos, PATIENCE)
        print(f"mqttsec sub: {subscriber.name} reads {options.topic} of {options.publisher}", file=sys.stderr)
        for _ in range(options.count) if options.count else itertools.count():
            _print_next(subscriber, options.timeout, options.verbose)
    return 0


def _print_next(subscriber: Subscriber, timeout: float | None, verbose: bool) -> None:
    opened = None
    while opened is None:
        # Without a limit of its own the wait is cut in pieces, so that Ctrl-C is heard everywhere.
        with contextlib.nullcontext() if timeout is not None else contextlib.suppress(TimedOut):
            opened = subscriber.message(3600.0 if timeout is None else timeout)
    where = f"{opened.publisher} {opened.topic} " if verbose else ""
    print(where + opened.message.decode("utf-8", "backslashreplace"), flush=True)
