"""`mqttsec broker`: run the broker in the foreground for anybody's clients."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
from collections.abc import Iterable
from typing import Any

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5.arguments import checked_filters
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.hooks import Extension
from mqttsec.mqtt5.settings import BrokerSettings


def main(arguments: list[str]) -> int:
    """Run the broker until SIGINT or SIGTERM; returns the exit status.

    Raises `ConfigurationError` for options that cannot work, such as a port in use.
    """
    return serve(parser().parse_args(arguments))


def serve(options: argparse.Namespace, extensions: Iterable[Extension] = ()) -> int:
    """Run the broker that `options`, as of `parser`, describe; as `main`."""
    loop = _event_loop(options.event_loop)
    try:
        loop.run_until_complete(_serve(options, extensions))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return 0


def _event_loop(name: str) -> asyncio.AbstractEventLoop:
    """The loop to run on: uvloop halves the delay of a single message, where it is installed."""
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise ConfigurationError("uvloop is not installed: pip install uvloop") from None
        else:
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def parser() -> argparse.ArgumentParser:
    """The options of the broker."""
    options = argparse.ArgumentParser(
        prog="mqttsec broker", description="Run the MQTT 5.0 and 3.1.1 broker for anybody's clients."
    )
    add = options.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=1883, help="TCP port; 0 takes a free one (default: %(default)s)")
    add("--websocket-port", type=int, help="also listen for WebSocket clients on this port")
    add("--tls-port", type=int, help="also listen for TLS clients on this port")
    add("--certificate", help="PEM file with the TLS listener's certificate")
    add("--key", help="PEM file with its private key")
    add("--ca", help="PEM file with the CA of client certificates, which are then required")
    add(
        "--acl",
        action="append",
        default=[],
        metavar="USER=FILTER",
        help="allow USER (anonymous: without a name) this Topic Filter; once given, all else is refused. "
        "Names are believed: nobody is asked for a password",
    )
    add(
        "--connect-timeout",
        type=float,
        default=BrokerSettings.connect_timeout,
        metavar="SECONDS",
        help="how long a client may take for CONNECT, and for each AUTH (default: %(default)s)",
    )
    add(
        "--event-loop",
        choices=("auto", "asyncio", "uvloop"),
        default="auto",
        help="auto takes uvloop where it is installed (default: %(default)s)",
    )
    return options


def configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """amqtt's configuration for the options.

    Raises `ConfigurationError` for options that do not fit together.
    """
    if arguments.tls_port is None and (arguments.certificate or arguments.key or arguments.ca):
        raise ConfigurationError("certificate, key and CA are for TLS: give --tls-port too")
    for option in ("port", "websocket_port", "tls_port"):
        port = getattr(arguments, option)
        # uvloop takes 99999 for 34463.
        if port is not None and not 0 <= port < 65536:
            name = option.replace("_", "-")
            raise ConfigurationError(
                f"--{name} {port} is no TCP port: choose 1 to 65535, or 0 for any free one"
            )
    listeners: dict[str, Any] = {"default": {"type": "tcp", "bind": f"{arguments.host}:{arguments.port}"}}
    if arguments.websocket_port is not None:
        listeners["websocket"] = {"type": "ws", "bind": f"{arguments.host}:{arguments.websocket_port}"}
    if arguments.tls_port is not None:
        if not (arguments.certificate and arguments.key):
            raise ConfigurationError("--tls-port needs --certificate and --key")
        listeners["tls"] = {
            "type": "tcp",
            "bind": f"{arguments.host}:{arguments.tls_port}",
            "ssl": True,
            "certfile": arguments.certificate,
            "keyfile": arguments.key,
        }
        if arguments.ca:
            listeners["tls"]["cafile"] = arguments.ca
    config: dict[str, Any] = {"listeners": listeners}
    if arguments.acl:
        allowed: dict[str, list[str]] = {}
        for rule in arguments.acl:
            user, separator, topic_filter = rule.partition("=")
            if not (user and separator and topic_filter):
                raise ConfigurationError(f"--acl {rule!r} is not USER=FILTER")
            checked_filters(f"--acl {rule}", [topic_filter])
            allowed.setdefault(user, []).append(topic_filter)
        config["plugins"] = {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
            "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {
                "acl": allowed,
                "publish_acl": allowed,
            },
        }
    return config


async def _serve(arguments: argparse.Namespace, extensions: Iterable[Extension]) -> None:
    settings = BrokerSettings(
        require_client_certificate=bool(arguments.ca), connect_timeout=arguments.connect_timeout
    )
    broker = Broker(settings, configuration(arguments), extensions=extensions)
    await broker.start()
    # What start-up made lives as long as the broker; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    for name, (host, port) in broker.bound.items():
        print(f"mqttsec broker: {name} listener on {host}:{port}", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await broker.shutdown()
