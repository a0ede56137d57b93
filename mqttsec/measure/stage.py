"""A stage: the brokers of several contestants, their audiences connected, ready to take turns.

Everything that runs is a process of its own and is gone, with its ports, when the stage is left: after the
last turn, after an error, and within a fifth of a second of a stop.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from mqttsec.crypto import CertificateAuthority
from mqttsec.crypto.pem import write_authority, write_identity
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConnectionFailed, MissingPeerError, MqttsecError
from mqttsec.measure.audience import Entered, Entry
from mqttsec.measure.contestants import Contestant
from mqttsec.measure.cores import Placement, allow_open_files, awake, place
from mqttsec.measure.peers import BrokerProcess
from mqttsec.measure.tls_files import TlsFiles

_LOOK = 0.05
"""Seconds between two looks at whether to stop."""


class Stopped(Exception):
    """The stop event was set. Not an error: who measures catches it and is done."""


class LoadProcess:
    """`overhead_load` in a process of its own, on its own core."""

    def __init__(self, core: int | None, stop: threading.Event) -> None:
        command = [
            sys.executable,
            "-m",
            "mqttsec.measure.overhead_load",
            *([] if core is None else [str(core)]),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stop = stop
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def do(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Have a job done. Raises `ConnectionFailed` when the broker failed in it, `Stopped` on a stop."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the empty answer below says so
            self._process.stdin.write(json.dumps({"do": job, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        while not self._selector.select(_LOOK):
            if self._stop.is_set():
                raise Stopped
        line = self._process.stdout.readline()
        if not line:
            raise MqttsecError("The load generator ended in the middle of a run. Please report it.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ConnectionFailed(answer["error"])
        return answer

    def kill(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._selector.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()


class Stage:
    """A context manager; `left_out` names who is not there, and why.

    Args:
        contestants: who takes part.
        subscribers: receivers of each.
        payload: bytes of an Application Message.
        qos: 0, 1 or 2.
        stop: set it, from any thread, to end everything.
        placement: which core broker and load get; None: one each, if there are two.

    Entering raises `ConfigurationError` where the machine allows too few open files.
    """

    def __init__(
        self,
        contestants: Sequence[Contestant],
        subscribers: int,
        payload: int,
        qos: int = 0,
        stop: threading.Event | None = None,
        placement: Placement | None = None,
    ) -> None:
        self.contestants = tuple(contestants)
        self.subscribers = subscribers
        self.payload = payload
        self.qos = qos
        self.stop = stop if stop is not None else threading.Event()
        self.placement = place() if placement is None else placement
        self.left_out: dict[str, str] = {}
        """Name of a contestant -> why it is not there, or no longer."""
        self._stack = contextlib.ExitStack()
        self._entered: dict[str, int] = {}

    def __enter__(self) -> Stage:
        allow_open_files(len(self.contestants) * (self.subscribers + 8) + 200)
        with self._stack:
            folder = tempfile.TemporaryDirectory(prefix="mqttsec-overhead-")
            self._folder = Path(self._stack.enter_context(folder))
            authority = CertificateAuthority()
            write_authority(authority, self._folder)
            write_identity(authority.issue(BROKER), self._folder)
            TlsFiles(self._folder).make()
            self._stack.enter_context(awake(self.placement))
            self._load = LoadProcess(self.placement.load, self.stop)
            self._stack.callback(self._load.kill)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def enter(self, contestant: Contestant) -> Entered | None:
        """Start a contestant's broker and connect its audience; None where that fails: see `left_out`.

        Raises `Stopped`.
        """
        if self.stop.is_set():
            raise Stopped
        try:
            broker = contestant.broker(self._folder, self.placement.broker)
            broker.cancelled = self.stop.is_set
            broker.start()
        except (MissingPeerError, ConnectionFailed) as error:
            if self.stop.is_set():
                raise Stopped from None
            self.left_out[contestant.name] = str(error)
            return None
        self._stack.callback(broker.kill)
        key = len(self._entered) + 1
        entry = self._entry(key, contestant, broker)
        try:
            found = Entered(**self._load.do("enter", entry=asdict(entry)))
        except ConnectionFailed as error:
            self.left_out[contestant.name] = str(error)
            return None
        self._entered[contestant.name] = key
        return found

    def _entry(self, key: int, contestant: Contestant, broker: BrokerProcess) -> Entry:
        setup = contestant.setup
        described = None
        if setup is not None:
            described = setup.scheme, setup.profile.value, setup.suite, setup.curve, setup.mode.value
        return Entry(
            key,
            contestant.kind.value,
            broker.host,
            broker.port,
            broker.pid,
            str(self._folder),
            self.subscribers,
            self.payload,
            self.qos,
            described,
        )

    @property
    def present(self) -> tuple[Contestant, ...]:
        """Who is connected and has not failed."""
        return tuple(each for each in self.contestants if each.name in self._entered)

    def turn(self, contestant: Contestant, job: str, seconds: float) -> dict[str, Any] | None:
        """Measure one contestant, `single` or `flow`; None where it failed: it is left out from now on.

        Raises `Stopped`.
        """
        if self.stop.is_set():
            raise Stopped
        try:
            return self._load.do(job, key=self._entered[contestant.name], seconds=seconds)
        except ConnectionFailed as error:
            self.left_out[contestant.name] = str(error)
            del self._entered[contestant.name]
            return None
