"""`mqttsec broker`: the broker for anybody's clients, with one of the schemes where `--scheme` says so."""

from __future__ import annotations

from mqttsec.e2e.broker_side import EVERYTHING, HALF_OPEN_AT_MOST, BrokerSide
from mqttsec.e2e.commands.options import add_identity, add_setup, identity_of, setup_of
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import command


def main(arguments: list[str]) -> int:
    """Run the broker until SIGINT or SIGTERM; returns the exit status.

    Raises `ConfigurationError` for options that cannot work.
    """
    parser = command.parser()
    add_setup(parser, required=False)
    add_identity(parser, BROKER)
    group = parser.add_argument_group("with a scheme")
    group.add_argument(
        "--protect",
        action="append",
        metavar="FILTER",
        help="Topic Filter under which only the scheme passes; may be repeated (default: all topics)",
    )
    group.add_argument(
        "--wait-limit",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a subscriber may wait for its publisher (default: %(default)s)",
    )
    group.add_argument(
        "--half-open",
        type=int,
        default=HALF_OPEN_AT_MOST,
        metavar="N",
        help="how many handshakes may be unfinished at the same time (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.scheme is None:
        if options.identities is not None or options.protect is not None:
            raise ConfigurationError("--identities and --protect go with --scheme: say 1, 2, 3 or 4")
        return command.serve(options)
    identity, trust = identity_of(options)
    protects = tuple(options.protect) if options.protect else EVERYTHING
    side = BrokerSide(
        identity,
        trust,
        setup_of(options),
        protects=protects,
        limit=options.wait_limit,
        half_open_at_most=options.half_open,
    )
    print(f"mqttsec broker: {identity.name} speaks {side.method!r} on {', '.join(protects)}", flush=True)
    return command.serve(options, [side])
