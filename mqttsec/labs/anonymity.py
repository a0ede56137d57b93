"""Lab 07, anonymity: formulas beside simulation and the real network, and attacks over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mqttsec.anonymity import attacks, subscriptions
from mqttsec.anonymity.adversaries import exposures
from mqttsec.anonymity.crowd import Crowd, Variant, check_count, check_variant, mean_path_length
from mqttsec.anonymity.entropy import (
    degree_of_anonymity,
    effective_set_size,
    entropy_given_hit,
    mutual_information,
)
from mqttsec.anonymity.estimates import Estimate
from mqttsec.anonymity.latency import RTTS_MS
from mqttsec.anonymity.rounds import check_lifetime
from mqttsec.anonymity.uneven import information
from mqttsec.check import ExerciseBook
from mqttsec.errors import ConfigurationError
from mqttsec.labs import anonymity_runs as runs
from mqttsec.labs.anonymity_exercises import BOOK, BUDGET, task
from mqttsec.labs.anonymity_story import CrowdView, Impossible, tell
from mqttsec.labs.lab import Lab
from mqttsec.labs.real_crowd import CrowdRun, run_crowd
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget, PlotView, Table
from mqttsec.widgets.plotted import PlottedExplorerWidget

if TYPE_CHECKING:
    import plotly.graph_objects as go

VARIANTS = tuple(variant.value for variant in Variant)
PUBLISHERS, MESSAGES = 50, 40
"""Of a run of the real network: 2,000 messages."""
SHOWN = (1, 5, 10, 20, 40)
"""After so many messages the real network's share of named publishers is plotted."""
_N = Control("n", "Brokers", 20, 4, 40)
_C = Control("c", "Collaborating", 4, 1, 20)
_P_F = Control("p_f", "p_f", 0.67, 0.0, 0.95, 0.01)
_VARIANT = Choice("variant", "Variant", "A", VARIANTS)


@dataclass(frozen=True)
class Plotted:
    """A result of an explorer: a figure, and a table below it."""

    make: Callable[[], go.Figure]
    """Makes the figure when it is asked for."""
    table: Table
    """The numbers, and the text twin."""

    def figure(self) -> go.Figure:
        """The plot."""
        return self.make()

    def html(self) -> str:
        """The table."""
        return self.table.html()

    def picture(self) -> str:
        """None: a page without a kernel shows the text."""
        return ""

    def text(self) -> str:
        """The table as fixed-width text."""
        return repr(self.table)

    def __repr__(self) -> str:
        return self.text()


class _NoPlot(Impossible):
    """An empty figure beside the reason."""

    def figure(self) -> go.Figure:
        """An empty one that says so."""
        import plotly.graph_objects as go

        return go.Figure(layout={"title": {"text": "not possible"}})


class Anonymity(Lab):
    """A crowd of bridge brokers, collaborators in it, and a publisher that goes on publishing.

    `seed` fixes the paths, the simulations, the network and the tasks. Raises `ConfigurationError` for a seed
    that is no whole number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self._runs: dict[tuple[Crowd, int, int, int | None], CrowdRun] = {}
        self._shares: dict[tuple[int, int], Estimate] = {}

    def __repr__(self) -> str:
        return (
            f"Lab 07, seed {self.seed}: {_N.start} bridge brokers, {_C.start} of them collaborate\n"
            "lab.crowd(messages=1) sends a message through them."
        )

    # -- one crowd, message by message ------------------------------------------------------------

    def crowd(
        self, n: int = 20, c: int = 4, p_f: float = 0.67, messages: int = 1, lifetime: int = 1,
        variant: str = "A",
    ) -> CrowdView:  # fmt: skip
        """Send so many messages through a crowd and see what the collaborators make of them.

        Raises `ConfigurationError` for a crowd, a number or a lifetime that cannot be.
        """
        crowd = Crowd(n, _collaborators(c), p_f, check_variant(variant))
        check_count(messages, "messages", 0)
        if check_lifetime(lifetime) is None:
            raise ConfigurationError("lifetime=None: give a number of messages, such as 10")
        return CrowdView(tell(crowd, messages, lifetime, self.seed))

    def explore(self) -> ExplorerWidget:
        """The same with sliders."""
        controls = (
            _N, _C, _P_F,
            Control("messages", "Messages", 1, 0, 60), Control("lifetime", "Lifetime", 1, 1, 60),
        )  # fmt: skip
        return self.keep(ExplorerWidget(Explorer(_possible(self.crowd), controls, "The crowd"), self.lock))

    # -- one path ---------------------------------------------------------------------------------

    def one_path(self, n: int = 20, c: int = 4, p_f: float = 0.67, variant: str = "A") -> Plotted:
        """P(H1+) and P(I|H1+): formula, simulation, and the real network if it ran with this crowd.

        Raises `ConfigurationError` for a crowd that cannot be.
        """
        crowd = Crowd(n, _collaborators(c), p_f, check_variant(variant))
        ran = self._runs.get((Crowd(n, c, 0.67, crowd.variant), PUBLISHERS, MESSAGES, 1))
        shown = runs.OnePath(crowd, self.seed, None if ran is None else ran.tally())

        def figure() -> go.Figure:
            from mqttsec.labs import anonymity_plots

            return anonymity_plots.one_path(shown.frame(), p_f)

        return Plotted(figure, shown.table())

    def explore_path(self) -> PlottedExplorerWidget:
        """The same with sliders; the real network runs first, so that its tally is in the plot."""
        self.network()
        return self._plotted(self.one_path, (_N, _C, _P_F, _VARIANT), "One path")

    def adversaries(self, n: int = 20, c: int = 4, p_f: float = 0.67, variant: str = "A") -> Table:
        """Sender, recipient and relationship against each adversary.

        Raises `ConfigurationError` for a crowd that cannot be.
        """
        crowd = Crowd(n, c, p_f, check_variant(variant))
        rows = tuple(
            (each.who.value, each.what.value, each.degree.value, f"{each.seen:.3f}", f"{each.named:.3f}")
            for each in exposures(crowd)
        )
        return Table(("adversary", "of", "degree", "P(sees it)", "P(right | sees)"), rows, str(crowd))

    def entropies(self, n: int = 20, c: int = 4) -> Table:
        """How much is left of anonymity after one path, by p_f: in bits and as a crowd.

        Raises `ConfigurationError` for a crowd that cannot be.
        """
        rows = []
        for p_f in (0.5, 0.67, 0.75, 0.9):
            crowd = Crowd(n, _collaborators(c), p_f)
            rows.append((
                p_f, f"{entropy_given_hit(crowd):.3f}", f"{degree_of_anonymity(crowd):.3f}",
                f"{effective_set_size(crowd):.2f}", f"{mutual_information(crowd):.3f}",
                f"{mean_path_length(p_f):.2f}",
            ))  # fmt: skip
        columns = ("p_f", "H bits, if seen", "degree d", "as among", "bits lost a path", "mean hops")
        return Table(columns, tuple(rows), f"n {n}, c {c}: {n - c} honest brokers, variant A")

    # -- the real network -------------------------------------------------------------------------

    def network(
        self, n: int = 20, c: int = 4, p_f: float = 0.67, lifetime: int | None = 1,
        publishers: int = PUBLISHERS, messages: int = MESSAGES,
    ) -> CrowdRun:  # fmt: skip
        """Publish through real bridge brokers, c of which log and pool; run once, then remembered.

        Raises `ConfigurationError` for a crowd, number or lifetime that cannot be.
        """
        crowd = Crowd(n, _collaborators(c), p_f)
        with self.lock:
            key = (crowd, publishers, messages, lifetime)
            if key not in self._runs:
                self._runs[key] = run_crowd(crowd, publishers, messages, self.seed, lifetime)
            return self._runs[key]

    # -- over time --------------------------------------------------------------------------------

    def over_time(
        self, n: int = 20, c: int = 4, p_f: float = 0.67, messages: int = 40, lifetime: int = 10
    ) -> Plotted:
        """P(named) message by message, with fresh and with sticky paths.

        Raises `ConfigurationError` for a crowd, number or lifetime that cannot be.
        """
        crowd = Crowd(n, _collaborators(c), p_f)
        check_count(messages, "messages", 1)
        seen = []
        for kind, life in zip(runs.KINDS, (1, lifetime), strict=True):
            ran = self._runs.get((crowd, PUBLISHERS, MESSAGES, life))
            if ran is not None:
                seen += [(kind, number, self._share(ran, number)) for number in SHOWN if number <= messages]
        shown = runs.OverTime(crowd, messages, lifetime, self.seed, tuple(seen))

        def figure() -> go.Figure:
            from mqttsec.labs import anonymity_plots

            return anonymity_plots.over_time(shown.frame())

        return Plotted(figure, shown.table())

    def _share(self, run: CrowdRun, messages: int) -> Estimate:
        """`run.named(messages)`, remembered: sliders go to and fro."""
        key = (id(run), messages)
        if key not in self._shares:
            self._shares[key] = run.named(messages)
        return self._shares[key]

    def explore_time(self) -> PlottedExplorerWidget:
        """The same with sliders; the real network runs first, with fresh and with sticky paths."""
        self.network()
        self.network(lifetime=10)
        controls = (
            _N, _C, _P_F,
            Control("messages", "Messages", 40, 5, 60), Control("lifetime", "Lifetime", 10, 1, 60),
        )  # fmt: skip
        return self._plotted(self.over_time, controls, "Named over time")

    def more(self, messages: int = 20) -> Table:
        """What else helps the collaborators: churn, uneven peers; simulated, 1000 publishers each.

        Raises `ConfigurationError` for a number that cannot be.
        """
        crowd = Crowd(20, 4, 0.67)
        # The collaborators are picked as often as before: only the honest ones differ.
        honest = [1 / place for place in range(1, crowd.h + 1)]
        uneven = [*honest, *[sum(honest) / crowd.h] * crowd.c]
        rows = []
        for words, options in (
            ("fresh paths", {}),
            ("sticky, for ever", {"lifetime": None}),
            ("sticky, 2 % leave after each message", {"lifetime": None, "churn": 0.02}),
            ("sticky, 10 % leave after each message", {"lifetime": None, "churn": 0.1}),
            ("fresh, near peers likelier (1/rank)", {"weights": uneven}),
        ):
            settings: dict[str, Any] = options
            run = attacks.simulate(crowd, messages, 1000, self.seed, **settings)
            bits = information(crowd, settings.get("weights"))
            rows.append((
                words, f"{run.rounds[-1]:.1f}", f"{run.candidates[-1]:.1f}", f"{bits:.3f}",
                f"{run.share(messages).value:.3f}", _band(run.share(messages)),
            ))  # fmt: skip
        columns = ("what", "paths drawn", "suspects left", "bits a path", "named", "95 % band")
        return Table(columns, tuple(rows), f"{crowd}, after {messages} messages, simulated")

    def subscriptions(self, subscribers: int = 5) -> Table:
        """Subscriptions to one topic that cross: blind and topic-aware; simulated.

        Raises `ConfigurationError` for a number of subscribers that cannot be.
        """
        crowd = Crowd(20, 4, 0.67)
        rows = []
        for strategy in subscriptions.Strategy:
            for each in subscriptions.simulate(crowd, subscribers, 20_000, self.seed, strategy):
                rows.append((
                    strategy.value, each.number, f"{each.hops.value:.2f}", f"{each.on_path.value:.3f}",
                    f"{each.given_hit.value:.3f}", _band(each.given_hit),
                ))  # fmt: skip
        columns = ("routing", "subscriber", "mean hops", "P(H1+)", "P(I|H1+)", "95 % band")
        return Table(columns, tuple(rows), f"{crowd}, simulated")

    # -- what it costs ----------------------------------------------------------------------------

    def bounds(self, n: int = 20) -> Table:
        """The printed bound of p_f beside the corrected one.

        Raises `ConfigurationError` for an n that cannot be.
        """
        return runs.bound_table(n)

    def costs(self, n: int = 30, rtt: str = "55 ms", qos: str = "0") -> Plotted:
        """Latency against the share of collaborators that is resisted.

        Raises `ConfigurationError` for an n, RTT or QoS that there is not.
        """
        if rtt not in _RTTS or qos not in ("0", "2"):
            raise ConfigurationError(
                f"rtt={rtt!r}, qos={qos!r}: there are {', '.join(_RTTS)}, and QoS 0 and 2"
            )
        shown = runs.Costs(n, float(rtt.split()[0]), int(qos))

        def figure() -> go.Figure:
            from mqttsec.labs import anonymity_plots

            return anonymity_plots.costs(shown.frame())

        return Plotted(figure, shown.table())

    def explore_costs(self) -> PlottedExplorerWidget:
        """The same with a slider and lists."""
        controls = (
            Control("n", "Brokers", 30, 4, 100), Choice("rtt", "RTT", "55 ms", _RTTS),
            Choice("qos", "QoS", "0", ("0", "2")),
        )  # fmt: skip
        return self._plotted(self.costs, controls, "What it costs")

    def limits(self) -> Table:
        """The largest p_f that each application bears, by network and QoS."""
        return runs.limits()

    def limits_plot(self) -> PlotView:
        """The same as a plot."""
        from mqttsec.labs import anonymity_plots

        figure = anonymity_plots.limits(runs.limits_frame())
        return self.keep(PlotView(figure, "Largest p_f within each application's bound"))

    # -- for exercises ----------------------------------------------------------------------------

    @property
    def task(self) -> Crowd:
        """Exercises 4 and 5: the crowd."""
        return task(self.seed)

    @property
    def budget(self) -> int:
        """Exercise 5: how many messages you send."""
        return BUDGET

    def _plotted(
        self, experiment: Callable[..., Any], controls: tuple[Control | Choice, ...], name: str
    ) -> PlottedExplorerWidget:
        model = Explorer(_possible(experiment, _NoPlot), controls, name)
        return self.keep(PlottedExplorerWidget(model, self.lock))


_RTTS = tuple(f"{rtt} ms" for rtt in RTTS_MS)


def _band(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def _collaborators(c: int) -> int:
    """c, which the lab wants to be 1 or more: without collaborators there is nothing to see."""
    return check_count(c, "c")


def _possible(experiment: Callable[..., Any], otherwise: type[Impossible] = Impossible) -> Callable[..., Any]:
    """The experiment; sliders that cannot be together (c and n) show why, and what to move."""

    def tried(**values: Any) -> Any:
        try:
            return experiment(**values)
        except ConfigurationError as error:
            return otherwise(str(error))

    return tried
