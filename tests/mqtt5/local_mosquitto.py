"""A mosquitto of the test's own, for interoperation."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.peers import require_peer


@contextlib.contextmanager
def local_mosquitto(*settings: str) -> Iterator[int]:
    """The port of a mosquitto on 127.0.0.1 that runs as long as the block; `settings` are lines for it."""
    program = require_peer("mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mosquitto.conf")
        file.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *settings]) + "\n")
        with subprocess.Popen([program, "-c", file], stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 10
                while True:
                    with contextlib.suppress(ConnectionRefusedError):
                        socket.create_connection(("127.0.0.1", port), timeout=1).close()
                        break
                    assert process.poll() is None and time.monotonic() < deadline, "mosquitto does not listen"
                    time.sleep(0.01)
                yield port
            finally:
                process.terminate()
