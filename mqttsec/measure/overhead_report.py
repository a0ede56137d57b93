"""The tables of `mqttsec bench overhead`, what follows from them, and the aims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mqttsec.e2e.schemes import SCHEMES, Mode, operations
from mqttsec.e2e.terms import Role
from mqttsec.measure.contestants import MOSQUITTO_TLS
from mqttsec.measure.cost_model import Cost, Costs
from mqttsec.measure.experiments import CONNECTION, FLOOD, FLOOR, SEALED, SINGLE, WRITTEN, Row
from mqttsec.measure.plan import DISTURBED

SINGLE_CIPHERTEXT, PER_RECIPIENT = Mode.SINGLE_CIPHERTEXT.value, Mode.PER_RECIPIENT.value
ORDER = (1, 4, 3, 2)
"""The schemes from the cheapest to the dearest, as the paper found them."""


@dataclass(frozen=True)
class Figure:
    """A figure over the rounds of one cell."""

    median: float
    low: float
    """Of the lowest round."""
    high: float
    """Of the highest round."""


def figure(rows: Sequence[Row], column: str, **where: object) -> Figure | None:
    """Over the rows in which the columns of `where` have these values; None where there are none."""
    values = [
        float(value)
        for row in rows
        if all(getattr(row, name) == wanted for name, wanted in where.items())
        and (value := getattr(row, column)) is not None
    ]
    return Figure(median(values), min(values), max(values)) if values else None


def cells(rows: Sequence[Row]) -> list[tuple[str, str, int, int, int]]:
    """(mode, suite, subscribers, payload, qos) of the schemes that were measured, in order."""
    return list(
        dict.fromkeys(
            (row.mode, row.suite, row.subscribers, row.payload_bytes, row.qos)
            for row in rows
            if row.scheme is not None
        )
    )


# Tables ----------------------------------------------------------------------------------------


def tables(rows: Sequence[Row]) -> str:
    """Delays and processor time, floods, connections and bytes, operations, what was left out."""
    parts = (_delays, _floods, _floors, _connections, _operations, _notes)
    return "\n".join(line for part in parts for line in part(rows))


def _delays(rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    yield "One message at a time: publish to receive per delivery, and the broker's processor time"
    yield (
        f"{'':44} {'mean us':>9} {'median':>9} {'p95':>9} {'p99':>9} {'min':>9} {'max':>9} {'stdev':>9}"
        f" {'CPU us/delivery':>16} {'lowest .. highest':>19}"
    )
    for label, group in _groups(rows, SINGLE):
        names = ("mean_us", "median_us", "p95_us", "p99_us", "min_us", "max_us", "stdev_us")
        cpu = figure(group, "broker_cpu_us")
        if cpu is None:
            continue
        shown = " ".join(
            f"{found.median:9.0f}" if (found := figure(group, name)) else " " * 9 for name in names
        )
        yield f"{label:44} {shown} {cpu.median:16.2f} {cpu.low:8.2f} .. {cpu.high:<8.2f}"


def _floods(rows: Sequence[Row]) -> Iterator[str]:
    if not any(row.experiment == FLOOD for row in rows):
        return
    yield ""
    yield "Flood: the publisher never lets the broker rest"
    yield f"{'':44} {'deliveries/s':>13} {'CPU us/delivery':>16} {'broker':>7} {'load':>6}"
    for label, group in _groups(rows, FLOOD):
        rate, cpu = figure(group, "deliveries_per_s"), figure(group, "broker_cpu_us")
        busy, load = figure(group, "broker_busy"), figure(group, "load_busy")
        if rate and cpu and busy and load:
            yield (
                f"{label:44} {rate.median:13,.0f} {cpu.median:16.2f} {busy.median:7.0%} {load.median:6.0%}"
            )


def _floors(rows: Sequence[Row]) -> Iterator[str]:
    groups = list(_groups(rows, FLOOR))
    if not groups:
        return
    yield ""
    yield "What writing a copy takes alone, and sealing it before, without a broker: the floor of Scheme 2 1C"
    yield f"{'':44} {'CPU us/delivery':>16} {'lowest .. highest':>19}"
    for label, group in groups:
        cpu = figure(group, "broker_cpu_us")
        if cpu is not None:
            yield f"{label:44} {cpu.median:16.2f} {cpu.low:8.2f} .. {cpu.high:<8.2f}"


def _connections(rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    yield "Connecting, one after the other, until CONNACK; bytes on the wire"
    yield (
        f"{'':44} {'publisher ms':>12} {'subscriber: median':>19} {'mean':>7} {'max':>7}"
        f" {'handshake B':>12} {'message: P-B B':>15} {'B-S B':>7} {'packets':>8}"
    )
    for label, group in _groups(rows, CONNECTION):
        row = group[0]
        if row.publisher_ms is not None:
            yield (
                f"{label:44} {row.publisher_ms:12.2f} {row.subscriber_median_ms:19.2f} "
                f"{row.subscriber_mean_ms:7.2f} {row.subscriber_max_ms:7.2f} {row.handshake_bytes:12} "
                f"{row.message_bytes_in:15} {row.message_bytes_out:7} {row.packets_in:8}"
            )


def _operations(rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    yield "Operations for one message (specification 1.5; tests hold the counters of real runs to it)"
    seen = dict.fromkeys((mode, n) for mode, _, n, _, _ in cells(rows))
    for mode, n in seen:
        for number in SCHEMES:
            table = operations(SCHEMES[number], Mode(mode), n)
            yield (
                f"  {mode:18} n={n:<5} Scheme {number}: publisher {table[Role.P]}, broker {table[Role.B]}, "
                f"each subscriber {table[Role.S]}"
            )


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    measured = [row.disturbance for row in rows if row.disturbance is not None]
    disturbed = sum(share > DISTURBED for share in measured)
    if disturbed:
        yield ""
        yield (
            f"note: in {disturbed} of {len(measured)} turns other programs held the cores for more than "
            f"{DISTURBED:.0%} of the time; such figures are worth little, run it on a quiet machine"
        )
    for row in rows:
        if row.note:
            yield f"left out: {row.contestant}, n={row.subscribers}: {row.note}"


def _groups(rows: Sequence[Row], experiment: str) -> Iterator[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.experiment == experiment and not row.note:
            groups.setdefault(label(row), []).append(row)
    yield from groups.items()


def label(row: Row) -> str:
    """`n=200   1024 B QoS 0  Scheme 2 paper`."""
    name = f"{row.contestant}, {row.suite}" if row.experiment == FLOOR else row.contestant
    return f"n={row.subscribers:<4} {row.payload_bytes:>5} B QoS {row.qos}  {name}"


# Forwarding costs, from what was measured ------------------------------------------------------


def forwarding(rows: Sequence[Row], primitives: Costs) -> tuple[Cost, ...]:
    """What the broker needs besides cryptography, from Scheme 1 at several n and Scheme 2 at the largest.

    Both with one ciphertext for all. Empty where the rows do not have that.
    """
    points: dict[int, float] = {}
    second: dict[int, float] = {}
    for mode, suite, n, payload, qos in cells(rows):
        if mode != SINGLE_CIPHERTEXT or qos:
            continue
        where = {
            "experiment": SINGLE,
            "mode": mode,
            "suite": suite,
            "subscribers": n,
            "payload_bytes": payload,
        }
        one, two = (figure(rows, "broker_cpu_us", scheme=number, **where) for number in (1, 2))
        if one is None or two is None:
            continue
        points[n] = n * one.median
        crypto = primitives.of("seal", suite, payload + 48) + primitives.of("open", suite, payload + 48) / n
        second[n] = two.median - one.median - crypto
    if len(points) < 2:
        return ()
    send, take = _line(points)
    largest = max(points)
    where = {"experiment": SINGLE, "mode": PER_RECIPIENT, "scheme": 1, "qos": 0, "subscribers": largest}
    each_alone = figure(rows, "broker_cpu_us", **where)
    if each_alone is not None:
        # With a ciphertext per recipient every delivery holds a whole `take`: that says more than a line.
        take = (each_alone.median - points[largest] / largest) / (1 - 1 / largest)
        send = (points[largest] - take) / largest
    return (
        Cost("take", "", 0, round(max(take, 0.0), 2)),
        Cost("send", "", 0, round(send, 3)),
        Cost("copy", "", 0, round(max(second[largest], 0.0), 2)),
    )


def _line(points: dict[int, float]) -> tuple[float, float]:
    """(slope, value at 0) of the least squares line."""
    middle, height = fmean(points), fmean(points.values())
    spread = sum((x - middle) ** 2 for x in points)
    slope = sum((x - middle) * (y - height) for x, y in points.items()) / spread
    return slope, height - slope * middle


# Ratios and aims -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One ratio, and what it should be."""

    what: str
    """In words, with the cell."""
    value: str
    """As measured."""
    aim: str
    """What it should be; empty where there is no aim."""
    met: bool | None
    """None where there is no aim."""
    floor: float | None = None
    """The ratio of a broker that adds the primitive to Scheme 1 and nothing else, where that was measured."""
    bound: float | None = None
    """The aim as a number, where there is a floor."""

    @property
    def out_of_reach(self) -> bool:
        """True where the aim is missed and the primitive alone would miss it."""
        if self.met or self.floor is None or self.bound is None:
            return False
        return self.floor > self.bound

    def __str__(self) -> str:
        if self.met is None:
            return f"  {self.what:66} {self.value}"
        said = "met" if self.met else "out of reach" if self.out_of_reach else "MISSED"
        floor = "" if self.floor is None else f" (floor of the primitive alone {self.floor:.2f})"
        return f"  {self.what:66} {self.value}  aim {self.aim}: {said}{floor}"


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every ratio that can be formed, in the order of the report."""
    return [*_processor(rows), *_throughput(rows), *_ordering(rows), *_growth(rows)]


def ratios(rows: Sequence[Row]) -> str:
    """The ratios as text, the count of aims last."""
    found = verdicts(rows)
    judged = [each for each in found if each.met is not None]
    lines = ["", "Ratios of medians (in brackets the lowest and highest of the rounds)", *map(str, found), ""]
    if judged:
        beyond = sum(each.out_of_reach for each in judged)
        left = f"; {beyond} of the others out of reach of the primitive alone" if beyond else ""
        lines.append(f"{sum(bool(each.met) for each in judged)} of {len(judged)} aims met{left}")
    else:
        lines.append("no aim could be judged: they compare all four schemes, and mosquitto with TLS")
    return "\n".join(lines)


BOUNDS = {3: 1.1, 4: 1.1}
"""Processor time of the broker per delivery, to Scheme 1 in the same mode and suite."""
SEALING = {"paper": 3.0, "aes-gcm": 1.4, "aes-gcm-gmac": 1.4}
"""The same for Scheme 2, which seals for each receiver."""


def _processor(rows: Sequence[Row]) -> Iterator[Verdict]:
    for experiment in (SINGLE, FLOOD):
        for mode, suite, n, payload, qos in cells(rows):
            where = {"experiment": experiment, "mode": mode, "suite": suite, "subscribers": n,
                     "payload_bytes": payload, "qos": qos}  # fmt: skip
            for number in (4, 3, 2):
                ratio = _ratio(rows, "broker_cpu_us", {**where, "scheme": number}, {**where, "scheme": 1})
                if ratio is None:
                    continue
                bound = BOUNDS.get(number, SEALING.get(suite))
                judged = experiment == SINGLE and n == max(cell[2] for cell in cells(rows))
                what = f"CPU, {experiment}: Scheme {number} / Scheme 1, {suite}, {mode}, n={n}"
                if bound is None or not judged:
                    yield Verdict(what, _shown(ratio), "", None)
                    continue
                least = _floor(rows, where) if number == 2 else None
                yield Verdict(what, _shown(ratio), f"<= {bound}", ratio.median <= bound, least, bound)


def _floor(rows: Sequence[Row], where: dict[str, object]) -> float | None:
    """Scheme 1 as measured and the primitive as measured alone, to Scheme 1; None where not measured."""
    about = {**where, "experiment": FLOOR}
    one = figure(rows, "broker_cpu_us", **{**where, "scheme": 1})
    written = figure(rows, "broker_cpu_us", contestant=WRITTEN, **about)
    sealed = figure(rows, "broker_cpu_us", contestant=SEALED, **about)
    if one is None or written is None or sealed is None:
        return None
    return 1 + max(0.0, sealed.median - written.median) / one.median


def _throughput(rows: Sequence[Row]) -> Iterator[Verdict]:
    # The peers are in the first stage only: what was not measured beside them is not compared.
    for mode, suite, n, payload, qos in cells(rows)[:1]:
        where = {"experiment": FLOOD, "subscribers": n, "payload_bytes": payload, "qos": qos}
        ratio = _ratio(
            rows,
            "deliveries_per_s",
            {**where, "mode": mode, "suite": suite, "scheme": 4},
            {**where, "contestant": MOSQUITTO_TLS.name},
        )
        if ratio is not None:
            what = f"deliveries/s, flood: Scheme 4 {suite} / mosquitto TLS, n={n}"
            yield Verdict(what, _shown(ratio), ">= 2.0", ratio.median >= 2.0)


def _ordering(rows: Sequence[Row]) -> Iterator[Verdict]:
    for mode, suite, n, payload, qos in cells(rows):
        if mode != SINGLE_CIPHERTEXT or suite != "paper" or qos:
            continue
        where = {
            "experiment": SINGLE,
            "mode": mode,
            "suite": suite,
            "subscribers": n,
            "payload_bytes": payload,
        }
        found = [figure(rows, "mean_us", scheme=number, **where) for number in ORDER]
        means = [each.median for each in found if each is not None]
        if len(means) == len(ORDER):
            value = " ".join(f"S{number} {mean:.0f}" for number, mean in zip(ORDER, means, strict=True))
            what = f"mean delay us, {suite}, {mode}, n={n}"
            yield Verdict(what, value, "S1 <= S4 <= S3 <= S2", means == sorted(means))


def _growth(rows: Sequence[Row]) -> Iterator[Verdict]:
    """What one more subscriber adds to the shortest delay: much in Scheme 2, little in the others."""
    slopes = {number: found for number in ORDER if (found := growth(rows, number)) is not None}
    if 2 not in slopes:
        return
    for number, (slope, few, many) in slopes.items():
        what = f"minimum delay, Scheme {number}: us for each further subscriber, n={few} to {many}"
        if number == 2:
            least = figure(rows, "min_us", experiment=SINGLE, mode=SINGLE_CIPHERTEXT, suite="paper", scheme=2,
                           subscribers=many)  # fmt: skip
            # Linear: the slope explains most of what the largest n takes.
            share = slope * many / least.median if least is not None else 0.0
            yield Verdict(
                f"{what}", f"{slope:6.2f} ({share:.0%} of it all)", ">= 75% of it all", share >= 0.75
            )
        else:
            yield Verdict(what, f"{slope:6.2f}", "<= 10% of Scheme 2's", slope <= slopes[2][0] / 10)


def growth(rows: Sequence[Row], scheme: int) -> tuple[float, int, int] | None:
    """(microseconds for each further subscriber, smallest, largest n) of a scheme's minimum delay.

    One ciphertext for all, `paper`, QoS 0, by least squares; None where fewer than two n were measured.
    """
    points = {}
    for mode, suite, n, payload, qos in cells(rows):
        if mode == SINGLE_CIPHERTEXT and suite == "paper" and not qos:
            found = figure(rows, "min_us", experiment=SINGLE, mode=mode, suite=suite, scheme=scheme,
                           subscribers=n, payload_bytes=payload)  # fmt: skip
            if found is not None:
                points[n] = found.median
    return (_line(points)[0], min(points), max(points)) if len(points) > 1 else None


def _ratio(rows: Sequence[Row], column: str, of: dict[str, object], to: dict[str, object]) -> Figure | None:
    """The ratio of the medians, and the lowest and highest ratio of one round."""
    ours, theirs = figure(rows, column, **of), figure(rows, column, **to)
    if ours is None or theirs is None or not theirs.median:
        return None
    single = []
    for number in sorted({row.round for row in rows}):
        one, other = figure(rows, column, round=number, **of), figure(rows, column, round=number, **to)
        if one is not None and other is not None and other.median:
            single.append(one.median / other.median)
    return Figure(ours.median / theirs.median, min(single, default=0.0), max(single, default=0.0))


def _shown(ratio: Figure) -> str:
    return f"{ratio.median:6.2f} [{ratio.low:.2f} .. {ratio.high:.2f}]"
