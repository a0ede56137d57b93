"""Lab 06, MQTT-A: messages on their way through a network of bridge brokers, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from mqttsec.anonymity.latency import RTTS_MS, latency_ms
from mqttsec.check import ExerciseBook
from mqttsec.errors import ConfigurationError
from mqttsec.labs.lab import Lab
from mqttsec.labs.mqtt_a_exercises import BOOK, READERS, budget, lost_run, task_p_f
from mqttsec.labs.walk_view import MembersView, WalkView, knowledge, what_names
from mqttsec.labs.walks import (
    MESSAGES,
    Crossing,
    Subscribed,
    Walk,
    crossing,
    lengths,
    membership,
    subscribed,
    walk,
)
from mqttsec.mqtta.experiments.cells import Cell, run_cell
from mqttsec.mqtta.policies import Form, Strategy
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget, Table
from mqttsec.widgets.running import RunWidget

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from mqttsec.widgets.plot import Points

N, P_F, RTT_MS = 8, 0.65, 55
"""Where the sliders begin."""
_WHAT = what_names(MESSAGES)
_PLOTTED = tuple(round(0.5 + 0.05 * step, 2) for step in range(9))
"""Forwarding probabilities of the plot."""


class MqttA(Lab):
    """A station, a reader, and a network of bridge brokers between them.

    `seed` decides every draw. Raises `ConfigurationError` for a seed that is no whole number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self._walks: dict[tuple[int, float, float], Walk] = {}
        self._crossings: dict[tuple[str, str], Crossing] = {}
        self._lost: dict[str, Subscribed] = {}
        self._meeting: int | None = None

    def __repr__(self) -> str:
        return (
            f"Lab 06, seed {self.seed}: station at b1, dashboard at b{N}, {N} bridge brokers, a public broker"
            f"\nExercise 1 asks about p_f = {task_p_f(self.seed):g}; nothing was sent yet."
        )

    # -- who is there -----------------------------------------------------------------------------

    def network(self, n: int = N) -> MembersView:
        """The brokers after they found each other by discovery. Raises `ConfigurationError` as `run`."""
        _check_brokers(n)
        return MembersView(membership(n, self.seed))

    # -- one message ------------------------------------------------------------------------------

    def run(self, n: int = N, p_f: float = P_F, rtt: float = RTT_MS) -> Walk:
        """A subscription and four messages; `rtt` in ms. The same settings give the same draws.

        Raises `ConfigurationError` for fewer than 3 or more than 12 brokers, or a p_f above 0.9.
        """
        _check_brokers(n)
        if not 0 <= p_f <= 0.9 or not 0 <= rtt <= 1000:
            raise ConfigurationError("give a p_f from 0 to 0.9 and a round-trip time from 0 to 1000 ms")
        key = (n, p_f, float(rtt))
        with self.lock:
            if key not in self._walks:
                self._walks[key] = walk(n, p_f, float(rtt), self.seed)
            return self._walks[key]

    def send(
        self, message: int = 1, hop: int = 100, n: int = N, p_f: float = P_F, rtt: float = RTT_MS
    ) -> WalkView:
        """The way of a message, from 1, up to step `hop`; message 0 is the subscription.

        Raises `ConfigurationError` for a message that there is not, and as `run` does.
        """
        if message not in range(MESSAGES + 1):
            raise ConfigurationError(
                f"message={message!r}: there are 1 to {MESSAGES}, and 0, the subscription"
            )
        return WalkView(self.run(n, p_f, rtt), message, hop)

    def _explored(self, p_f: float, n: float, rtt: str, what: str, hop: float) -> WalkView:
        return self.send(_WHAT.index(what), int(hop), int(n), p_f, float(rtt))

    def explore(self) -> ExplorerWidget:
        """The same with sliders and lists: the path grows with the slider *Step*."""
        controls = (
            Control("hop", "Step", 1, 1, 40),
            Control("p_f", "p_f", P_F, 0.0, 0.9, 0.05),
            Control("n", "Brokers", N, 3, 12),
            Choice("rtt", "RTT ms", str(RTT_MS), tuple(map(str, RTTS_MS))),
            Choice("what", "What", _WHAT[1], _WHAT),
        )
        return self.keep(ExplorerWidget(Explorer(self._explored, controls, "MQTT-A"), self.lock))

    def knows(self, n: int = N, p_f: float = P_F) -> Table:
        """What each bridge broker's own log says after four messages and a subscription."""
        return knowledge(self.run(n, p_f))

    def lengths(self, p_f: float, messages: int = 200) -> Table:
        """How long the paths of many messages are, beside theory.

        Raises `ConfigurationError` for a p_f or number that cannot be.
        """
        if not 0 <= p_f <= 0.9 or not 1 <= messages <= 2000:
            raise ConfigurationError("give a p_f from 0 to 0.9, and 1 to 2000 messages")
        found = lengths(N, p_f, messages, self.seed)
        longest = max(found)
        rows = []
        for length in range(2, min(longest, 9) + 1):
            expected = messages * (1 - p_f) * p_f ** (length - 2)
            rows.append((str(length), found.count(length), round(expected)))
        rest = messages * p_f ** (min(longest, 9) - 1)
        rows.append(("more", sum(length > 9 for length in found), round(rest)))
        mean = sum(found) / messages
        return Table(("hops", "messages", "theory"), tuple(rows), f"p_f = {p_f:g}: mean {mean:.2f} hops")

    # -- where paths cross --------------------------------------------------------------------------

    def crossing(self, strategy: str, form: str = Form.MENDED.value) -> Crossing:
        """Two readers of one topic whose paths cross, and five messages at QoS 2.

        Raises `ConfigurationError` for a strategy or form that there is not.
        """
        strategies, forms = [each.value for each in Strategy], [each.value for each in Form]
        if strategy not in strategies or form not in forms:
            raise ConfigurationError(f"choose one of {', '.join(strategies)} and one of {', '.join(forms)}")
        key = (strategy, form)
        with self.lock:
            if key not in self._crossings:
                self._crossings[key] = crossing(strategy, form, self._crossing_seed())
            return self._crossings[key]

    def _crossing_seed(self) -> int:
        """The first seed from the lab's own on under which the paths meet: blind ones feed each other."""
        with self.lock:
            if self._meeting is None:
                seeds = range(self.seed, self.seed + 100)
                self._meeting = next((seed for seed in seeds if _meet(seed)), self.seed)
            return self._meeting

    def crossings(self) -> Table:
        """The strategies side by side."""
        cases = [(Strategy.BLIND.value, Form.PUBLISHED.value)]
        cases += [(strategy.value, Form.MENDED.value) for strategy in Strategy]
        rows = []
        for strategy, form in cases:
            run = self.crossing(strategy, form)
            got = " and ".join(f"{distinct} of {run.messages}" for distinct in run.distinct)
            copies = " and ".join(map(str, run.copies))
            stopped = f"{run.circulating} of {run.messages}" if run.circulating else "-"
            rows.append((f"{strategy}, {form}", run.upstream, got, copies, run.carried, stopped))
        names = (
            "strategy, rules",
            "at the public broker",
            "messages",
            "copies",
            "carried back",
            "circulated",
        )
        return Table(names, tuple(rows), "reader-1 and reader-2 subscribe to one topic at QoS 2")

    def crossing_paths(self) -> Table:
        """The ways of both subscriptions under the blind strategy, published and mended."""
        rows = []
        for form in Form:
            for path in self.crossing(Strategy.BLIND.value, form.value).paths:
                rows.append((form.value, str(path)))
        return Table(("rules", "path"), tuple(rows))

    # -- the loop rule ------------------------------------------------------------------------------

    def subscriptions(self, form: str = Form.PUBLISHED.value) -> Subscribed:
        """Twelve subscriptions to twelve topics. Raises `ConfigurationError` for a form that there is not."""
        if form not in [each.value for each in Form]:
            raise ConfigurationError("the rules are published or mended")
        with self.lock:
            if form not in self._lost:
                published = self._lost.get(Form.PUBLISHED.value) or lost_run(self.seed)
                self._lost[Form.PUBLISHED.value] = published
                if form == Form.MENDED.value:
                    self._lost[form] = subscribed(Form.MENDED, 10, READERS, self.seed)
            return self._lost[form]

    def subscription_paths(self) -> Table:
        """The bridge brokers that each of the twelve subscriptions has come to, under the published rule."""
        rows = [
            (path.source, " > ".join(hop.bridge for hop in path.hops)) for path in self.subscriptions().paths
        ]
        return Table(("reader", "bridge brokers"), tuple(rows))

    def losses(self, n: int = 10, readers: int = 100) -> Table:
        """How many of `readers` subscriptions are lost under either rule.

        Raises `ConfigurationError` for numbers that cannot be.
        """
        if not 3 <= n <= 20 or not 1 <= readers <= 200:
            raise ConfigurationError("give 3 to 20 bridge brokers and 1 to 200 readers")
        rows = []
        for form in Form:
            for variant, words in (("A", "may pick itself"), ("B", "never itself")):
                run = subscribed(form, n, readers, self.seed, variant=variant)
                rows.append(
                    (
                        form.value,
                        f"{variant}: {words}",
                        len(run.lost),
                        round(100 * len(run.lost) / readers),
                    )
                )
        return Table(
            ("rules", "variant", "lost", "share %"),
            tuple(rows),
            f"{readers} subscriptions, n = {n}, p_f = 0.67",
        )

    # -- the price ----------------------------------------------------------------------------------

    def budget(self) -> str:
        """What exercise 5 asks."""
        rtt, bound = budget(self.seed)
        return (
            f"RTT {rtt} ms between any two brokers; at most {bound} ms from the station to the dashboard, on "
            "average;\nboth sides anonymous, QoS 0. Which p_f is the largest?"
        )

    def latency_plot(self) -> RunWidget:
        """Latency against p_f, measured point by point: press Run."""
        return self.keep(RunWidget(self._figure, self._pieces, "Latency against p_f", self.lock))

    def latencies(self, rtt: float = RTT_MS) -> Table:
        """The same as text: mean latencies of 100 messages a point, beside theory and the paper's model."""
        rows = []
        for p_f in (0.5, 0.67, 0.8, 0.9):
            measured = run_cell(Cell(p_f, rtt_ms=float(rtt), messages=100), self.seed)
            here = rtt / (1 - p_f) + rtt
            rows.append(
                (f"{p_f:g}", round(measured.mean_ms), round(here), round(latency_ms(p_f, rtt)))
            )  # fmt: skip
        names = ("p_f", "measured ms", "RTT/(1-p_f) + RTT", "model of the paper's figures")
        return Table(names, tuple(rows), f"both sides anonymous, QoS 0, RTT {rtt:g} ms")

    def _figure(self) -> go.Figure:
        import plotly.graph_objects as go

        from mqttsec.plots import styled

        figure = go.Figure()
        figure.update_layout(
            title={"text": "Latency against p_f, RTT 55 ms, QoS 0"},
            xaxis={"title": "forwarding probability p_f", "range": [0.48, 0.92]},
            yaxis={"title": "mean latency, ms", "range": [0, 800]},
        )
        x = [0.5 + 0.005 * step for step in range(81)]
        for sides, name in ((2, "both sides"), (1, "one side")):
            figure.add_scatter(x=[], y=[], mode="markers", name=name, legendgroup=name, showlegend=True)
            theory = [sides * RTT_MS / 2 / (1 - p_f) + RTT_MS for p_f in x]
            figure.add_scatter(
                x=x, y=theory, mode="lines", name=f"{name}, theory", legendgroup=name
            )
        return styled(figure)

    def _pieces(self) -> Iterator[tuple[str, Points]]:
        for done, p_f in enumerate(_PLOTTED, 1):
            for sides, name in ((2, "both sides"), (1, "one side")):
                measured = run_cell(Cell(p_f, sides=sides, messages=100), self.seed)
                yield f"{done} of {len(_PLOTTED)}: p_f = {p_f:g}", {name: ([p_f], [measured.mean_ms])}


def _check_brokers(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or not 3 <= n <= 12:
        raise ConfigurationError(f"n={n!r}: give 3 to 12 bridge brokers")


def _meet(seed: int) -> bool:
    """Whether messages circulate under the published rules, and later subscriptions join under the mended."""
    if not crossing(Strategy.BLIND, Form.PUBLISHED, seed, messages=1).circulating:
        return False
    aware = (Strategy.TOPIC_AWARE, Strategy.TOPIC_AND_QOS_AWARE)
    return all(crossing(strategy, Form.MENDED, seed, messages=1).upstream == 1 for strategy in aware)
