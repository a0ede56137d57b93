"""One broker of a comparison in a process of its own: `python -m mqttsec.measure.runner BROKER --port N`.

`amqtt`    stock amqtt, with no plugin but the one that lets anonymous clients in (none that logs);
`mqttsec`  ours with the same plugins, for the runs with an access control list;
`ceiling`  no broker at all: a relay that knows nothing of MQTT, to find out what the load generator
           itself can take at most.

`--acl` adds amqtt's own `TopicAccessControlListPlugin`, which is asked for every PUBLISH and SUBSCRIBE.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import selectors
import socket
import sys
from collections.abc import Sequence
from typing import Any, cast

from mqttsec.measure.frames import TOPIC

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
ACCESS_CONTROL = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"


def configuration(port: int, acl: bool) -> dict[str, Any]:
    """The amqtt configuration of a broker on 127.0.0.1 without logging, with or without the list."""
    plugins: dict[str, Any] = {ANONYMOUS: {"allow_anonymous": True}}
    if acl:
        # amqtt asks its list under the name "anonymous" for clients that gave no user name. The first
        # entries never match, so that a rule has to be looked for, as in a list from real life.
        rules = ["plant/+/control", "plant/+/state/#", TOPIC]
        plugins[ACCESS_CONTROL] = {"publish_acl": {"anonymous": rules}, "acl": {"anonymous": rules}}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    return {"listeners": {"default": listener}, "plugins": plugins}


async def serve(kind: str, port: int, acl: bool) -> None:
    """Run the broker until the process is ended."""
    home = importlib.import_module({"amqtt": "amqtt.broker", "mqttsec": "mqttsec.mqtt5"}[kind])
    broker = home.Broker(config=configuration(port, acl))
    await broker.start()
    await asyncio.Event().wait()


def relay(port: int) -> None:
    """Write whatever the first client sends to all others, unread; only QoS 0 survives that.

    The bytes of a PUBLISH at QoS 0 are the same on the way in and on the way out, which is why this works.
    Each client is greeted with a CONNACK for its first packet and a SUBACK for its second.
    """
    connack, suback = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00"
    server = socket.create_server(("127.0.0.1", port), backlog=1024)
    receivers: set[socket.socket] = set()
    publishers: set[socket.socket] = set()
    with server, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is server:
                    newcomer, _ = server.accept()
                    newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(newcomer, selectors.EVENT_READ)
                    continue
                client = cast(socket.socket, key.fileobj)
                with contextlib.suppress(ConnectionError):
                    data = client.recv(1 << 18)
                    if client in publishers or data.startswith(b"\x30"):
                        publishers.add(client)
                        for receiver in receivers:
                            receiver.sendall(data)
                    elif data.startswith(b"\x10"):
                        client.sendall(connack)
                    elif data.startswith(b"\x82"):
                        receivers.add(client)
                        client.sendall(suback)
                    if data and not data.startswith(b"\xe0"):
                        continue
                selector.unregister(client)  # DISCONNECT, or gone without one
                client.close()
                receivers.discard(client)
                publishers.discard(client)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one broker in the foreground; ends with the process."""
    parser = argparse.ArgumentParser(prog="python -m mqttsec.measure.runner", description=__doc__)
    parser.add_argument("broker", choices=("amqtt", "mqttsec", "ceiling"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--acl", action="store_true")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        if options.broker == "ceiling":
            relay(options.port)
        else:
            asyncio.run(serve(options.broker, options.port, options.acl))
    return 0


if __name__ == "__main__":
    sys.exit(main())
