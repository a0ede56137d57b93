"""Public brokers for a network: ours, a stock amqtt, a mosquitto process, or one that runs already.

They know nothing of MQTT-A. `start` gives the address, `kill` ends one as a crash does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Protocol

import amqtt.broker

from mqttsec.errors import ConfigurationError, ConnectionFailed, MissingPeerError
from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.mqtta.notices import At
from mqttsec.net import MemoryNetwork, MemoryServer

HOST = "127.0.0.1"
_START_SECONDS = 15.0


class PublicBroker(Protocol):
    """One public broker."""

    name: str
    """Its name, in memory also its host."""
    at: At
    """Where it listens, once started."""

    async def start(self) -> At:
        """Start; gives the address."""

    async def stop(self) -> None:
        """Stop."""

    async def kill(self) -> None:
        """End as a crash does."""


class OwnPublic:
    """Our broker, in memory or over TCP."""

    def __init__(
        self, name: str, network: MemoryNetwork | None, settings: BrokerSettings | None = None
    ) -> None:
        self.name = name
        self.at = At(name, 1883)
        self._network = network
        self._settings = settings or BrokerSettings(name=name, receive_maximum=65_535, max_inflight=65_535)
        self.broker: Broker | None = None
        """The broker while it runs."""
        self._server: MemoryServer | None = None

    async def start(self) -> At:
        """Start; gives the address."""
        memory = self._network is not None
        port = self.at.port if self._server is None and self.at.host == HOST else 0
        kind = {"type": "external"} if memory else {"type": "tcp", "bind": f"{HOST}:{port}"}
        self.broker = Broker(self._settings, {"listeners": {"default": kind}})
        await self.broker.start()
        if self._network is not None:
            self._server = self._network.listen(self.broker.protocol_factory(), self.name, 1883)
        else:
            self.at = At(*self.broker.bound["default"])
        return self.at

    async def stop(self) -> None:
        """Stop."""
        broker, self.broker = self.broker, None
        if self._server is not None:
            self._server.close()
        if broker is not None:
            await broker.shutdown()

    async def kill(self) -> None:
        """Reset every connection, then go."""
        if self._server is not None:
            self._server.close()
        if self.broker is not None:
            for connection in list(self.broker.connections):
                connection.abort()
        await self.stop()


class AmqttPublic:
    """amqtt's broker as it is (MQTT 3.1.1), in this process, over TCP."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.at = At(HOST, 1)
        self._broker: Any = None

    async def start(self) -> At:
        """Start; gives the address."""
        port = _free_port()
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        config = {"listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}}, "plugins": plugins}
        self._broker = amqtt.broker.Broker(config)
        await self._broker.start()
        self.at = At(HOST, port)
        return self.at

    async def stop(self) -> None:
        """Stop."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.shutdown()

    async def kill(self) -> None:
        """As `stop`: it lives in this process."""
        await self.stop()


class MosquittoPublic:
    """A mosquitto process of its own."""

    def __init__(self, name: str, settings: tuple[str, ...] = ()) -> None:
        self.name = name
        self.at = At(HOST, 1)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def start(self) -> At:
        """Start; gives the address when it accepts connections.

        Raises `MissingPeerError` without mosquitto, `ConnectionFailed` if it does not come up.
        """
        program = find_mosquitto()
        port = _free_port() if self.at.port == 1 else self.at.port
        self._folder = tempfile.TemporaryDirectory(prefix="mqttsec-public-")
        lines = [
            f"listener {port} {HOST}", "allow_anonymous true", "persistence false", "set_tcp_nodelay true",
            "max_queued_messages 0", "max_inflight_messages 0", "log_type error", *self._settings,
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            lines.append("user root")
        file = Path(self._folder.name, "mosquitto.conf")
        file.write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            [program, "-c", str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while not await _accepts(port):
            if self._process.poll() is not None or loop.time() > deadline:
                await self.stop()
                raise ConnectionFailed(
                    f"mosquitto does not accept connections on {HOST}:{port}; does it run alone?"
                )
            await asyncio.sleep(0.02)
        self.at = At(HOST, port)
        return self.at

    async def stop(self) -> None:
        """End the process."""
        await self._end(kill=False)

    async def kill(self) -> None:
        """Kill the process."""
        await self._end(kill=True)

    async def _end(self, kill: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill() if kill else process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3.0)
            if process.poll() is None:
                process.kill()
                process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


class RunningPublic:
    """A broker that runs already, somewhere; started and stopped by others."""

    def __init__(self, name: str, at: At) -> None:
        self.name, self.at = name, at

    async def start(self) -> At:
        """Its address."""
        return self.at

    async def stop(self) -> None:
        """Not ours to stop."""

    async def kill(self) -> None:
        """Not ours to kill."""
        raise ConfigurationError(f"{self.at} was not started here, so it cannot be killed here")


def public_broker(kind: str | At, name: str, network: MemoryNetwork | None) -> PublicBroker:
    """A public broker of a kind: "mqttsec", "amqtt", "mosquitto", or the address of one that runs.

    Raises `ConfigurationError` for another kind, or for one that needs sockets in a network in memory.
    """
    if isinstance(kind, At):
        return RunningPublic(name, kind)
    if kind == "mqttsec":
        return OwnPublic(name, network)
    if kind in ("amqtt", "mosquitto"):
        if network is not None:
            raise ConfigurationError(f"public={kind!r} needs real sockets: give sockets=True")
        return AmqttPublic(name) if kind == "amqtt" else MosquittoPublic(name)
    raise ConfigurationError(
        f"public={kind!r} is not known: 'mqttsec', 'amqtt', 'mosquitto', or At(host, port)"
    )


def find_mosquitto() -> str:
    """Path of the mosquitto program. Raises `MissingPeerError` when there is none."""
    # Debian installs it where only root's PATH leads.
    places = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
    program = shutil.which("mosquitto", path=places)
    if program is None:
        raise MissingPeerError("mosquitto is not installed: Debian has it (apt install mosquitto)")
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
