"""The brokers that the suite can be run against, each started with the settings a test asks for."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers import require_peer


@dataclass(frozen=True)
class Profile:
    """Settings of a broker, in the words of the standard; the default is what the broker does by itself."""

    maximum_qos: int = 2
    """Maximum QoS of PUBLISH (3.2.2.3.4)."""
    retain_available: bool = True
    """Retained messages (3.2.2.3.5)."""
    server_keep_alive: int | None = None
    """The longest Keep Alive that the broker grants, in seconds (3.2.2.3.14)."""
    maximum_packet_size: int | None = None
    """The largest packet that the broker accepts, in bytes (3.2.2.3.6)."""
    receive_maximum: int | None = None
    """How many QoS 1 and 2 messages the broker accepts at a time (3.2.2.3.3)."""
    topic_alias_maximum: int | None = None
    """How many Topic Aliases the broker accepts from a client (3.2.2.3.8)."""
    empty_client_id: bool = True
    """Whether a client may leave its name to the broker (3.1.3.1)."""
    users: tuple[tuple[str, str], ...] = ()
    """User names and passwords; with any, nobody else gets in."""
    forbidden: str | None = None
    """A topic prefix under which nobody may publish or subscribe."""
    websocket: bool = False
    """Whether the listener speaks WebSocket (chapter 6)."""
    enhanced_authentication: bool = False
    """Whether the method of `challenge.py` is known (4.12)."""


class Unsupported(Exception):
    """The broker has no such setting; the message says which."""


@dataclass
class Running:
    """A broker that runs."""

    address: tuple[str, int]
    name: str
    stop: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


Brokers = Callable[[Profile], Running]
"""The fixture `brokers`: start the broker under test with these settings, once for equal ones."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(address: tuple[str, int], alive: subprocess.Popen[bytes]) -> None:
    """Return as soon as the broker accepts connections."""
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address, timeout=1):
            return
        if alive.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{alive.args!r} does not listen on {address}")
        time.sleep(0.01)


def ended_soon(process: subprocess.Popen[bytes]) -> bool:
    """Whether a program gives up right after its start: a mosquitto without libwebsockets does."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextlib.contextmanager
def mosquitto(profile: Profile) -> Iterator[tuple[str, int]]:
    """A mosquitto process with these settings."""
    program = require_peer("mosquitto")
    if profile.enhanced_authentication:
        raise Unsupported("mosquitto knows no Authentication Method without a plugin")
    if profile.server_keep_alive is not None and profile.server_keep_alive < 10:
        raise Unsupported("mosquitto's max_keepalive begins at 10 seconds")
    address = ("127.0.0.1", free_port())
    with tempfile.TemporaryDirectory() as folder:
        lines = ["persistence false", "log_type error", "set_tcp_nodelay true"]
        if profile.server_keep_alive is not None:
            lines.append(f"max_keepalive {profile.server_keep_alive}")
        if profile.receive_maximum is not None:
            lines.append(f"max_inflight_messages {profile.receive_maximum}")
        if profile.maximum_packet_size is not None:
            lines.append(f"max_packet_size {profile.maximum_packet_size}")
        if not profile.retain_available:
            lines.append("retain_available false")
        lines += [f"listener {address[1]} {address[0]}", f"max_qos {profile.maximum_qos}"]
        if profile.topic_alias_maximum is not None:
            lines.append(f"max_topic_alias {profile.topic_alias_maximum}")
        if not profile.empty_client_id:
            lines.append("allow_zero_length_clientid false")
        if profile.websocket:
            lines.append("protocol websockets")
        lines.append(f"allow_anonymous {str(not profile.users).lower()}")
        if profile.users:
            passwords = Path(folder, "passwords")
            passwords.write_text("".join(f"{user}:{secret}\n" for user, secret in profile.users))
            subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
            lines.append(f"password_file {passwords}")
        if profile.forbidden is not None:
            access = Path(folder, "access")
            access.write_text(f"topic deny {profile.forbidden}/#\ntopic readwrite #\n")
            lines.append(f"acl_file {access}")
        for path in Path(folder).iterdir():
            path.chmod(0o644)
        Path(folder).chmod(0o755)
        settings = Path(folder, "mosquitto.conf")
        settings.write_text("\n".join(lines) + "\n")
        settings.chmod(0o644)
        with subprocess.Popen([program, "-c", settings]) as process:
            try:
                if profile.websocket and ended_soon(process):
                    raise Unsupported("this mosquitto cannot do WebSocket")
                wait_for(address, process)
                yield address
            finally:
                process.terminate()


@contextlib.contextmanager
def elsewhere(where: str, profile: Profile) -> Iterator[tuple[str, int]]:
    """A broker that somebody else has started, given as `host:port`."""
    if profile != Profile():
        raise Unsupported(f"the broker at {where} cannot be given settings")
    host, _, port = where.rpartition(":")
    yield host, int(port)


def start(name: str, profile: Profile) -> Running:
    """Start the broker called `name` ("mqttsec", "mosquitto" or "host:port") with these settings."""
    stack = contextlib.ExitStack()
    if name == "mosquitto":
        address = stack.enter_context(mosquitto(profile))
    elif ":" in name:
        address = stack.enter_context(elsewhere(name, profile))
    else:
        from .ours import broker

        address = stack.enter_context(broker(profile))
    return Running(address, name, stack)
