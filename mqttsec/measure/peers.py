"""Brokers as processes of their own, started and stopped around a block of code.

    with mosquitto() as broker:
        client.connect(broker.host, broker.port)

For measurements and for tests against programs from elsewhere: mosquitto, stock amqtt, and ours as anybody
would start it. Each listens on 127.0.0.1 only, keeps nothing on disk, and is gone after the block.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from mqttsec.errors import ConfigurationError, ConnectionFailed, MissingPeerError
from mqttsec.measure.cores import pin, usage

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 3.0

CommandBuilder = Callable[[int, Path], Sequence[str]]
"""(port, empty scratch directory) -> the command that runs the broker in the foreground."""


class BrokerProcess:
    """A broker in its own process; a context manager that starts it and stops it.

    Attributes: `name` for tables, `version`, `host`, and, while it runs, `port` and `pid`.
    """

    def __init__(self, name: str, version: str, command: CommandBuilder, *,
                 port: int | None = None, core: int | None = None) -> None:
        self.name = name
        self.version = version
        self.host = HOST
        self._command = command
        self._wanted_port = port
        self._core = core
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.cancelled: Callable[[], bool] = lambda: False
        """Asked while it starts: True gives up with `ConnectionFailed`."""

    @property
    def port(self) -> int:
        """The TCP port it listens on. Raises `ConfigurationError` when it was never started."""
        if self._port is None:
            raise ConfigurationError(f"{self.name} has no port before it is started: use it in a with block.")
        return self._port

    @property
    def pid(self) -> int:
        """The process id. Raises `ConfigurationError` when it is not running."""
        if self._process is None:
            raise ConfigurationError(f"{self.name} is not running: use it inside its with block.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def cpu_seconds(self) -> float:
        """Processor time it has used so far: user + system, seconds."""
        return usage(self.pid).running

    def output(self) -> str:
        """What it has printed so far, both streams."""
        if self._scratch is None:
            return ""
        return self._log.read_text(errors="replace")

    def start(self) -> BrokerProcess:
        """Start it and return when it accepts connections.

        Raises `ConnectionFailed`, with what it printed last, if it ends or stays deaf for 20 s.
        """
        if self._process is not None:
            raise ConfigurationError(f"{self.name} is running already: stop it before starting it again.")
        # Another process may take a free port between our look and the broker's bind: once more, then.
        attempts = 1 if self._wanted_port is not None else 2
        for attempt in range(attempts):
            self._port = self._wanted_port if self._wanted_port is not None else free_port()
            try:
                self._launch(self._port)
                return self
            except ConnectionFailed as failure:
                self.stop()
                if attempt + 1 == attempts or "in use" not in str(failure):
                    raise
        raise AssertionError("unreachable: the loop returns or raises")

    def stop(self) -> None:
        """End it, kindly first; returns when the process is gone. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            scratch.cleanup()

    def kill(self) -> None:
        """End it at once: for a run that was stopped, or a broker that would tidy up for long."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.stop()

    def restart(self) -> None:
        """A fresh process in the place of this one, on a fresh port unless one was asked for."""
        self.stop()
        self.start()

    def __enter__(self) -> BrokerProcess:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        assert self._scratch is not None
        return Path(self._scratch.name, "output.txt")

    def _launch(self, port: int) -> None:
        if _accepts(port):
            raise ConnectionFailed(f"{self.name} cannot listen on port {port} of {HOST}: the port is in use. "
                                   "Stop the program that holds it, or ask for another port.")
        self._scratch = tempfile.TemporaryDirectory(prefix="mqttsec-peer-")
        command = list(self._command(port, Path(self._scratch.name)))
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                raise ConnectionFailed(f"{self.name} could not be started ({error}); "
                                       f"the command was: {' '.join(command)}") from error
        deadline = time.monotonic() + START_SECONDS
        while not _accepts(port):
            if self._process.poll() is not None:
                raise ConnectionFailed(f"{self.name} ended before it accepted connections. "
                                       f"Its last words: {self._last_words()}")
            if self.cancelled():
                self.kill()
                raise ConnectionFailed(f"{self.name} was stopped while it started.")
            if time.monotonic() > deadline:
                raise ConnectionFailed(f"{self.name} accepts no connection on {HOST}:{port} "
                                       f"after {START_SECONDS:.0f} s. Its last words: {self._last_words()}")
            time.sleep(0.01)
        pin(self._process.pid, self._core)

    def _last_words(self) -> str:
        lines = self.output().strip().splitlines()
        return " | ".join(lines[-4:]) if lines else "(none)"


def mosquitto(*, port: int | None = None, core: int | None = None, allow_anonymous: bool = True,
              settings: Sequence[str] = ()) -> BrokerProcess:
    """Mosquitto without Nagle's delay, without any queue or in-flight limit, without persistence.

    `settings` are further lines for its configuration file. Raises `MissingPeerError` when there is no
    mosquitto on this machine.
    """
    program = find_mosquitto()
    help_text = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    version = help_text.partition("\n")[0].removeprefix("mosquitto version ")

    def command(port: int, scratch: Path) -> Sequence[str]:
        lines = [
            f"listener {port} {HOST}",
            f"allow_anonymous {str(allow_anonymous).lower()}",
            "persistence false",
            # Without it, mosquitto's small writes wait for the receiver's acknowledgement (Nagle).
            "set_tcp_nodelay true",
            # 0 is "no maximum": no message is dropped and none waits for an earlier acknowledgement.
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "log_dest stderr",
            "log_type error",
            "connection_messages false",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            lines.append("user root")  # it would give up the right to read its own configuration file
        configuration = scratch / "mosquitto.conf"
        configuration.write_text("\n".join([*lines, *settings]) + "\n")
        return [program, "-c", str(configuration)]

    return BrokerProcess("mosquitto", version, command, port=port, core=core)


def find_mosquitto() -> str:
    """Path of the mosquitto program. Raises `MissingPeerError` when there is none."""
    # Debian installs it where only root's PATH leads.
    places = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
    program = shutil.which("mosquitto", path=places)
    if program is None:
        raise MissingPeerError("mosquitto is not installed. Install it (Debian: apt-get install mosquitto) "
                               "or go on without this peer.")
    return program


def stock_amqtt(*, port: int | None = None, core: int | None = None, acl: bool = False) -> BrokerProcess:
    """amqtt as it is, with no plugin that logs; `acl` adds its access control list plugin.

    Raises `MissingPeerError` when amqtt is not installed.
    """
    return BrokerProcess("amqtt+acl" if acl else "amqtt", _version_of("amqtt"),
                         _runner("amqtt", acl), port=port, core=core)


def mqttsec_broker(*, port: int | None = None, core: int | None = None, acl: bool = False,
                   options: Sequence[str] = ()) -> BrokerProcess:
    """Ours, as `mqttsec broker --port N` with `options`; `acl` runs it with amqtt's access control list."""

    def command(port: int, scratch: Path) -> Sequence[str]:
        return [sys.executable, "-m", "mqttsec", "broker", "--port", str(port), *options]

    return BrokerProcess("mqttsec+acl" if acl else "mqttsec", _own_version(),
                         _runner("mqttsec", acl) if acl else command, port=port, core=core)


def mqttsec_tls_broker(certificate: Path, key: Path, authority: Path,
                       core: int | None = None) -> BrokerProcess:
    """Ours with a TLS listener that demands client certificates of `authority`; all three are PEM files."""

    def command(port: int, scratch: Path) -> Sequence[str]:
        return [sys.executable, "-m", "mqttsec", "broker", "--port", "0", "--tls-port", str(port),
                "--certificate", str(certificate), "--key", str(key), "--ca", str(authority)]

    return BrokerProcess("mqttsec TLS", _own_version(), command, core=core)


def ceiling(*, port: int | None = None, core: int | None = None) -> BrokerProcess:
    """No broker: a relay of unread bytes, which shows the most that the load generator can take (QoS 0)."""
    return BrokerProcess("ceiling", "", _runner("ceiling", False), port=port, core=core)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _runner(kind: str, acl: bool) -> CommandBuilder:
    def command(port: int, scratch: Path) -> Sequence[str]:
        words = [sys.executable, "-m", "mqttsec.measure.runner", kind, "--port", str(port)]
        return [*words, "--acl"] if acl else words

    return command


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise MissingPeerError(f"{package} is not installed. Install it (pip install {package}) "
                               "or go on without this peer.") from None


def _own_version() -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("mqttsec")
    return "checkout"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True
