"""A live measurement on a thread of its own: rows as they come, and a stop that works at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.errors import ConfigurationError, MqttsecError
from mqttsec.measure.contestants import MOSQUITTO_TLS, OURS_TLS, PLAIN, Contestant, schemes
from mqttsec.measure.experiments import SINGLE, Row, overhead

FASTER_CURVE = "X25519"
"""Of the lab's handshakes, which are not what it measures."""
PEER_SETS = {
    "none": (),
    "no security": (PLAIN,),
    "no security, TLS": (PLAIN, MOSQUITTO_TLS, OURS_TLS),
}
"""What the schemes can be measured beside."""


@dataclass(frozen=True)
class Settings:
    """What a run measures."""

    subscribers: int = 50
    payload: int = 1024
    """Bytes."""
    suite: str = "paper"
    mode: str = Mode.SINGLE_CIPHERTEXT.value
    qos: int = 0
    scheme: str = "all"
    """`all`, or the number of one."""
    peers: str = "none"
    """A key of `PEER_SETS`."""

    def contestants(self) -> tuple[Contestant, ...]:
        """Who takes part. Raises `ConfigurationError` for a setting that there is not."""
        try:
            mode, peers = Mode(self.mode), PEER_SETS[self.peers]
            numbers = tuple(SCHEMES) if self.scheme == "all" else (int(self.scheme),)
        except (ValueError, KeyError) as error:
            raise ConfigurationError(f"there is no {error}: choose from the lists") from None
        return (*schemes((self.suite,), (mode,), numbers, FASTER_CURVE), *peers)

    def fits(self, row: Row) -> bool:
        """Whether a row was measured with these settings, whatever the number of subscribers."""
        same = (row.payload_bytes, row.qos) == (self.payload, self.qos)
        return same and (row.scheme is None or (row.suite, row.mode) == (self.suite, self.mode))


Measure = Callable[..., Iterator[Row]]


class LiveRun:
    """At most one measurement at a time. `measure` is what measures: `overhead` but in tests."""

    def __init__(self, measure: Measure = overhead) -> None:
        self._measure = measure
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a measurement is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(
        self,
        settings: Settings,
        on_row: Callable[[Row, float], None],
        on_end: Callable[[str], None],
        rounds: int = 5,
        seconds: float = 0.25,
    ) -> None:
        """Begin. `on_row(row, share done)` and `on_end(what was wrong, or "")` are called on the thread.

        Raises `ConfigurationError` while another runs, or for settings that cannot be.
        """
        if self.running:
            raise ConfigurationError("a measurement is under way: press Stop first")
        contestants = settings.contestants()
        self._stop = threading.Event()
        options = {
            "subscribers": settings.subscribers,
            "payload": settings.payload,
            "qos": settings.qos,
            "rounds": rounds,
            "seconds": seconds,
            "stop": self._stop,
        }
        arguments = (contestants, options, on_row, on_end)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True, name="overhead")
        self._thread.start()

    def _run(
        self,
        contestants: Sequence[Contestant],
        options: dict[str, Any],
        on_row: Callable[[Row, float], None],
        on_end: Callable[[str], None],
    ) -> None:
        expected, wrong = len(contestants) * (1 + options["rounds"]), ""
        try:
            for done, row in enumerate(self._measure(contestants, **options), 1):
                on_row(row, min(1.0, done / expected))
        except MqttsecError as error:
            wrong = str(error)
        finally:
            on_end(wrong)

    def stop(self, timeout: float = 5.0) -> None:
        """End the measurement and wait until nothing of it runs; harmless when there is none."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    close = stop


def newest(rows: Sequence[Row]) -> list[Row]:
    """The measured rows among `rows`: no connections, none that failed."""
    return [row for row in rows if row.experiment == SINGLE and not row.note]
