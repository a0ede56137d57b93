"""Lab 04, the overhead: what the four schemes cost, counted, reckoned and measured live."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.crypto import SUITES
from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.e2e.setup import Setup
from mqttsec.errors import ConfigurationError
from mqttsec.labs.lab import Lab
from mqttsec.labs.overhead_exercises import BOOK, minima, task_size
from mqttsec.labs.overhead_run import PEER_SETS, LiveRun, Settings, newest
from mqttsec.labs.overhead_views import (
    CPU,
    SHOWN,
    CostView,
    costs_view,
    live_figure,
    measured_table,
    value,
)
from mqttsec.measure.cost_model import Costs, recorded_costs
from mqttsec.measure.experiments import CONNECTION, Count, Row, count, read_csv
from mqttsec.measure.overhead_figures import (
    measured_means,
    model_means,
    paper_figure,
    paper_means,
    primitive_figure,
    scaled,
)
from mqttsec.measure.overhead_report import ORDER, figure
from mqttsec.measure.recorded import RUN, path_of
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget, Table
from mqttsec.widgets.table import Cell

if TYPE_CHECKING:
    from mqttsec.widgets.meter import MeterWidget
    from mqttsec.widgets.plot import PlotView

MOST = 200
"""Subscribers of a live measurement, at most: a start connects each of them to each broker."""
PAYLOADS = ("64", "256", "1024", "4096", "16384", "65536")
SINGLE_CIPHERTEXT = Mode.SINGLE_CIPHERTEXT.value
_MODES = tuple(mode.value for mode in Mode)


class Overhead(Lab):
    """A machine that measures itself.

    `seed` chooses the sizes of the exercises; no measured figure depends on it. Raises
    `ConfigurationError` for a seed that is no whole number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.costs: Costs = recorded_costs()
        """What primitives took on the machine that `docs/overhead.md` describes."""
        self._rows: list[Row] = []
        self._run = self.keep(LiveRun())

    def __repr__(self) -> str:
        return (
            f"Lab 04, seed {self.seed}: Schemes 1 to 4, counted, reckoned and measured\n"
            "lab.measure() starts real brokers, each in a process of its own, on 127.0.0.1 alone."
        )

    # -- counted ----------------------------------------------------------------------------------

    def count(self, scheme: int, n: int = 5, payload: int = 1024, mode: str = SINGLE_CIPHERTEXT) -> Count:
        """Operations and bytes of one message, counted in a run in memory.

        Raises `ConfigurationError` for a scheme, number or mode that there is not.
        """
        return count(Setup(scheme, curve="X25519", mode=_mode(mode)), n, payload)

    def counts(self, n: int = 5, mode: str = SINGLE_CIPHERTEXT, payload: int = 1024) -> Table:
        """The same for all schemes."""
        rows = []
        for number in SCHEMES:
            found = self.count(number, n, payload, mode)
            rows.append(
                (
                    number,
                    found.publisher,
                    found.broker,
                    found.subscriber,
                    found.publisher_bytes,
                    found.broker_bytes,
                )
            )
        columns = ("scheme", "P", "B", "each S", "bytes P to B", "bytes B to all S")
        return Table(columns, tuple(rows), f"one message of {payload} bytes to {n}, {mode}: counted in a run")

    # -- reckoned ---------------------------------------------------------------------------------

    def model(
        self, n: int = 100, payload: int = 1024, suite: str = "paper", mode: str = SINGLE_CIPHERTEXT
    ) -> CostView:
        """Operations times what they took when they were recorded: the same on every machine."""
        if suite not in SUITES:
            raise ConfigurationError(f"no cipher suite {suite!r}: take one of {', '.join(SUITES)}")
        return costs_view(self.costs, n, int(payload), suite, _mode(mode).value)

    def explore(self) -> ExplorerWidget:
        """The same with sliders."""
        controls = (
            Control("n", "Subscribers", 100, 10, 1000, 10),
            Choice("payload", "Bytes", "1024", PAYLOADS),
            Choice("suite", "Suite", "paper", tuple(SUITES)),
            Choice("mode", "Mode", SINGLE_CIPHERTEXT, _MODES),
        )

        def shown(n: int, payload: str, suite: str, mode: str) -> CostView:
            return self.model(n, int(payload), suite, mode)

        return self.keep(ExplorerWidget(Explorer(shown, controls, "What a message costs"), self.lock))

    # -- measured ---------------------------------------------------------------------------------

    def measure(self) -> MeterWidget:
        """Start and stop live measurements; points stream into a plot over the model's lines."""
        from mqttsec.widgets.meter import MeterWidget

        controls = (
            Control("subscribers", "Subscribers", 50, 5, MOST, 5),
            Choice("payload", "Bytes", "1024", PAYLOADS),
            Choice("suite", "Suite", "paper", tuple(SUITES)),
            Choice("mode", "Mode", SINGLE_CIPHERTEXT, _MODES),
            Choice("scheme", "Scheme", "all", ("all", *map(str, SCHEMES))),
            Choice("qos", "QoS", "0", ("0", "1", "2")),
            Choice("peers", "Beside", "none", tuple(PEER_SETS)),
            Choice("shown", "Show", CPU, SHOWN),
        )
        model = _Meter(self)
        return self.keep(MeterWidget(model, controls, "Live measurement", self.lock))

    def run(self, n: int = 10, rounds: int = 2, seconds: float = 0.1, **settings: Any) -> Table:
        """Measure without the widget and wait for it; medians of the rounds.

        `settings` are those of the widget by name: payload, suite, mode, scheme, qos, peers. Raises
        `ConfigurationError` for one that there is not.
        """
        try:
            wanted = Settings(subscribers=n, **settings)
        except TypeError as error:
            raise ConfigurationError(f"{error}: there are payload, suite, mode, scheme, qos, peers") from None
        rows: list[Row] = []
        ended = threading.Event()
        wrong: list[str] = []

        def end(said: str) -> None:
            wrong.append(said)
            ended.set()

        self._run.start(wanted, lambda row, _: rows.append(row), end, rounds, seconds)
        ended.wait(600)
        self._run.stop()  # the thread has said its last word, and is over a moment later
        if wrong and wrong[0]:
            raise ConfigurationError(wrong[0])
        with self.lock:
            self._rows += rows
        left_out = [f"left out: {row.contestant}, {row.note}" for row in rows if row.note]
        return measured_table(rows, "; ".join(["measured on this machine just now", *left_out]))

    @property
    def rows(self) -> tuple[Row, ...]:
        """All that was measured with this lab object."""
        with self.lock:
            return tuple(self._rows)

    # -- the paper, and recorded figures ----------------------------------------------------------

    @cached_property
    def recorded(self) -> tuple[Row, ...]:
        """The rows of the run in `data/`."""
        with path_of(RUN).open(newline="") as file:
            return tuple(read_csv(file))

    def paper(self, n: int = 200) -> Table:
        """Mean delays, Scheme 1 = 1: the model, the recorded run, and what the paper prints.

        Raises `ConfigurationError` for a number that the paper has no table for.
        """
        printed = paper_means(n)
        if not printed:
            raise ConfigurationError(f"n={n}: the paper prints tables for 100 and 200 subscribers")
        series = {
            "model": model_means(self.costs, n, 1024),
            "recorded run": measured_means(self.recorded, n),
            **{f"paper, table {name}": means for name, means in printed.items()},
        }
        rows: list[tuple[Cell, ...]] = []
        for name, means in series.items():
            relative = scaled(means)
            rows.append(
                (name, *(f"{relative[number]:.2f}" if number in relative else "" for number in ORDER))
            )
        columns = ("mean delay", *(f"Scheme {number}" for number in ORDER))
        return Table(columns, tuple(rows), f"Scheme 1 = 1, {n} subscribers, one ciphertext for all")

    def paper_plot(self, n: int = 200) -> PlotView:
        """The same as bars; with what was measured here, if that was."""
        from mqttsec.widgets.plot import PlotView

        own = measured_means(self.rows, n)
        named = "measured here" if own else "recorded run"
        made = paper_figure(self.rows if own else self.recorded, self.costs, n, measured=named)
        return self.keep(PlotView(made, f"The paper's order, n = {n}"))

    def minima(self) -> Table:
        """Exercise 4: the shortest delay of the recorded run by number of subscribers."""
        found = minima(self.recorded)
        sizes = sorted({n for _, n in found})
        rows: list[tuple[Cell, ...]] = [
            (number, *(round(found[number, n]) for n in sizes)) for number in ORDER
        ]
        return Table(("scheme", *(f"n={n}: us" for n in sizes)), tuple(rows), "minimum delay, recorded run")

    def layers(self) -> Table:
        """What one layer takes by size, recorded: EI (sealed) beside I (a tag alone), microseconds."""
        suites = ("paper", "aes-gcm", "aes-gcm-gmac", "chacha20")
        rows: list[tuple[Cell, ...]] = []
        for size in (64, 256, 1024, 4096, 16_384, 65_536):
            cells = [
                self.costs.of(what, suite, size) for suite in suites for what in ("seal", "mac")
            ]
            rows.append((size, *cells))
        columns = ("bytes", *(f"{suite} {letter}" for suite in suites for letter in ("EI", "I")))
        return Table(columns, tuple(rows), "one layer put on: microseconds")

    def layers_plot(self) -> PlotView:
        """The same as curves."""
        from mqttsec.widgets.plot import PlotView

        return self.keep(PlotView(primitive_figure(self.costs), "One layer put on"))

    def peers(self) -> Table:
        """The recorded run: the schemes beside no security and TLS, at the largest number of subscribers."""
        rows: list[tuple[Cell, ...]] = []
        largest = max(row.subscribers for row in self.recorded)
        for row in self.recorded:
            if row.experiment != CONNECTION or row.subscribers != largest or row.suite not in ("", "paper"):
                continue
            single = [each for each in newest(self.recorded) if each.contestant == row.contestant]
            cpu = figure(single, "broker_cpu_us", subscribers=largest)
            rows.append(
                (
                    row.contestant,
                    row.handshake_bytes,
                    row.packets_in,
                    row.message_bytes_in,
                    row.message_bytes_out,
                    f"{cpu.median:.1f}" if cpu else "",
                )
            )
        columns = ("contestant", "handshake B", "packets P-B", "bytes P-B", "bytes B-S", "B CPU us/delivery")
        return Table(columns, tuple(rows), f"recorded run, {largest} subscribers; 1C: one ciphertext for all")

    @property
    def n(self) -> int:
        """Exercise 1: how many subscribers."""
        return task_size(self.seed)


class _Meter:
    """The model of the live widget: settings, what was measured, and the run."""

    def __init__(self, lab: Overhead) -> None:
        self._lab = lab
        self.settings = Settings()
        self.shown = CPU

    def set(self, **values: Any) -> None:
        self.shown = values.pop("shown", self.shown)
        given = {**self.settings.__dict__, **values}
        given["payload"], given["qos"] = int(given["payload"]), int(given["qos"])
        self.settings = Settings(**given)

    def figure(self) -> Any:
        return live_figure(self._lab.rows, self.settings, self.shown, self._lab.costs, MOST)

    def html(self) -> str:
        lab, settings = self._lab, self.settings
        parts = [
            lab.model(settings.subscribers, settings.payload, settings.suite, settings.mode)._repr_html_()
        ]
        fitting = [row for row in lab.rows if settings.fits(row)]
        if newest(fitting):
            parts.insert(0, measured_table(fitting, "medians of what was measured here")._repr_html_())
        return "<br>".join(parts)

    def start(self, meter: MeterWidget) -> None:
        settings = self.settings

        def came(row: Row, share: float) -> None:
            with self._lab.lock:
                self._lab._rows.append(row)
            if row.note:
                meter.came({}, share, f"left out: {row.contestant}: {row.note}")
                return
            said = f"connected: {row.contestant}" if not row.round else f"round {row.round}: {row.contestant}"
            points = {}
            if row.round and settings.fits(row) and self.settings.fits(row):
                name = f"Scheme {row.scheme}" if row.scheme is not None else row.contestant
                points[name] = ([float(row.subscribers)], [value(row, self.shown)])
            meter.came(points, share, said)

        def ended(wrong: str) -> None:
            left_out = [row.contestant for row in self._lab.rows if row.note]
            named = f"; left out: {', '.join(dict.fromkeys(left_out))}" if left_out else ""
            meter.ended(wrong or f"ended{named}")

        self._lab._run.start(settings, came, ended)

    def stop(self) -> None:
        self._lab._run.stop()

    def clear(self) -> None:
        with self._lab.lock:
            self._lab._rows.clear()


def _mode(name: str) -> Mode:
    try:
        return Mode(name)
    except ValueError:
        raise ConfigurationError(f"mode={name!r}: there are {', '.join(_MODES)}") from None
