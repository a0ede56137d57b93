"""The tables of `mqttsec bench fanout`, and its ratios against the aims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mqttsec.measure.plan import (
    AMQTT,
    BACK_TO_BACK,
    DISTURBED,
    MOSQUITTO,
    OURS,
    OURS_ACL,
    PAUSED,
    SATURATED,
    Row,
)

LIMIT = 0.9
"""A load generator that was busier than this while the broker was not may have been what was measured."""


@dataclass(frozen=True)
class Aim:
    """What a ratio of ours to a peer's has to be."""

    regime: str
    column: str
    subscribers: tuple[int, ...]
    qos: tuple[int, ...]
    bound: float
    at_least: bool
    """True: ratio >= bound; False: ratio <= bound."""
    of: str = OURS
    to: str = MOSQUITTO


AIMS = (
    Aim(SATURATED, "deliveries_per_s", (10,), (0,), 3.0, True),
    Aim(SATURATED, "deliveries_per_s", (200,), (0,), 6.0, True),
    Aim(SATURATED, "deliveries_per_s", (10, 200), (1, 2), 2.0, True),
    Aim(PAUSED, "median_us", (1, 10), (0, 1, 2), 1.5, False),
    Aim(PAUSED, "median_us", (200,), (0, 1, 2), 1.0, False),
    Aim(BACK_TO_BACK, "median_us", (1, 10), (0, 1, 2), 1.5, False),
    Aim(BACK_TO_BACK, "median_us", (200,), (0, 1, 2), 1.0, False),
    Aim(SATURATED, "deliveries_per_s", (10, 200), (0, 1, 2), 0.5, True, OURS_ACL, OURS),
)
"""The aims of the project, both ways of sending one message at a time held to the same one."""

RATIOS = (
    (SATURATED, "broker_cpu_us", "Saturated: the broker's processor time per delivery, less is better"),
    (SATURATED, "deliveries_per_s", "Saturated: deliveries/s, more is better"),
    (PAUSED, "median_us", "One at a time, pauses: median delay, less is better"),
    (BACK_TO_BACK, "median_us", "One at a time, back to back: median delay, less is better"),
)
"""(regime, column, title) in the order they are printed. Processor time has no aim of its own; it is the
figure that other programs on the machine disturb least."""

CellKey = tuple[int, int, int]
"""(subscribers, payload bytes, qos)"""


def tables(rows: Sequence[Row]) -> str:
    """Both regimes: medians over rounds, and the lowest and highest round."""
    return "\n".join([*_saturated_table(rows), *_delay_table(rows, PAUSED), *_delay_table(rows, BACK_TO_BACK),
                      *_notes(rows)])


def ratios(rows: Sequence[Row]) -> str:
    """Ours against the others, cell by cell: the ratio of medians, the spread over rounds, met or not met."""
    lines = ["", "Ratios (medians; in brackets the lowest and highest of the rounds)"]
    met = judged = 0
    for regime, column, title in RATIOS:
        heading = len(lines)
        for cell in _cells(rows):
            for of, to in ((OURS, MOSQUITTO), (OURS, AMQTT), (OURS_ACL, OURS)):
                if of == OURS_ACL and regime != SATURATED:
                    continue
                figure = _ratio(rows, regime, column, cell, of, to)
                aim = _aim(regime, column, cell, of, to)
                stuck = [broker for broker in (of, to) if figure is None and _got_stuck(rows, cell, broker)]
                if figure is None:
                    why = f": {' and '.join(stuck)} delivered next to nothing" if stuck else ""
                    if aim is not None and _asked_for(rows, cell, of, to) and stuck != [to]:
                        judged += 1
                        lines.append(f"  {_label(cell)}  {of} / {to}: no figure, not met{why}")
                    elif stuck and regime == SATURATED:
                        lines.append(f"  {_label(cell)}  {of} / {to}: no figure{why}")
                    continue
                ratio, lowest, highest = figure
                text = f"  {_label(cell)}  {of + ' / ' + to:<22} {ratio:7.2f} [{lowest:.2f} .. {highest:.2f}]"
                if aim is not None:
                    good = ratio >= aim.bound if aim.at_least else ratio <= aim.bound
                    judged, met = judged + 1, met + good
                    bound = f"{'>=' if aim.at_least else '<='} {aim.bound}"
                    text += f"  aim {bound}: {'met' if good else 'NOT MET'}"
                lines.append(text)
        if len(lines) > heading:
            lines[heading:heading] = ["", title]
    lines += ["", f"{met} of {judged} aims met" if judged else
              "no aim could be judged: they compare mqttsec with mosquitto at 1, 10 and 200 subscribers"]
    return "\n".join(lines)


def _ratio(rows: Sequence[Row], regime: str, column: str, cell: CellKey, of: str,
           to: str) -> tuple[float, float, float] | None:
    """Ratio of the medians, and the lowest and highest ratio of one round."""
    ours, theirs = (_by_round(rows, regime, column, cell, broker) for broker in (of, to))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    single = [ours[number] / theirs[number] for number in both]
    return median(ours[n] for n in both) / median(theirs[n] for n in both), min(single), max(single)


def _by_round(rows: Sequence[Row], regime: str, column: str, cell: CellKey, broker: str) -> dict[int, float]:
    # Zero is no measurement either: a short run can end between two ticks of the processor clock.
    return {row.round: value for row in rows
            if row.regime == regime and row.broker == broker and _key(row) == cell
            and not _is_stuck(row) and (value := getattr(row, column))}


def _is_stuck(row: Row) -> bool:
    """True for a flood in which not one message reached all subscribers: a rate of it would say nothing."""
    return row.regime == SATURATED and row.deliveries is not None and row.deliveries < row.subscribers


def _got_stuck(rows: Sequence[Row], cell: CellKey, broker: str) -> bool:
    """True when that happened in every round that has figures."""
    floods = [row for row in rows if row.regime == SATURATED and row.broker == broker
              and _key(row) == cell and row.deliveries is not None]
    return bool(floods) and all(map(_is_stuck, floods))


def _aim(regime: str, column: str, cell: CellKey, of: str, to: str) -> Aim | None:
    subscribers, _, qos = cell
    for aim in AIMS:
        if ((aim.regime, aim.column, aim.of, aim.to) == (regime, column, of, to)
                and subscribers in aim.subscribers and qos in aim.qos):
            return aim
    return None


def _asked_for(rows: Sequence[Row], cell: CellKey, of: str, to: str) -> bool:
    """Both were to be measured in this cell (a peer that is not installed has no rows at all)."""
    return {of, to} <= {row.broker for row in rows if _key(row) == cell}


def _saturated_table(rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    yield "Saturated: the publisher never lets the broker rest"
    yield (f"{'':24} {'broker':<12} {'deliveries/s':>12} {'lowest .. highest':>24} "
           f"{'CPU us/delivery':>16} {'broker':>7} {'load':>6}")
    for cell, broker, group in _groups(rows, SATURATED):
        rate, cpu = _column(group, "deliveries_per_s"), median(_column(group, "broker_cpu_us"))
        busy, load = median(_column(group, "broker_busy")), median(_column(group, "load_busy"))
        remark = "  the load was the limit" if load > LIMIT > busy else ""
        if all(map(_is_stuck, group)):
            remark = "  delivered next to nothing: not one message to all subscribers in the time"
        yield (f"{_label(cell):24} {broker:<12} {median(rate):12,.0f} {_span(rate):>24} "
               f"{cpu:16.2f} {busy:7.0%} {load:6.0%}{remark}")


def _delay_table(rows: Sequence[Row], regime: str) -> Iterator[str]:
    yield ""
    yield f"{regime.capitalize()}: delay from publish to receive, microseconds"
    yield (f"{'':24} {'broker':<12} {'median':>8} {'lowest .. highest':>20} {'p95':>8} {'p99':>8}"
           f" {'last: median':>13} {'p95':>8} {'p99':>8} {'CPU us':>8}")
    for cell, broker, group in _groups(rows, regime):
        middle = _column(group, "median_us")
        p95, p99, last, last95, last99, cpu = (
            median(_column(group, name)) for name in
            ("p95_us", "p99_us", "last_median_us", "last_p95_us", "last_p99_us", "broker_cpu_us"))
        yield (f"{_label(cell):24} {broker:<12} {median(middle):8.0f} {_span(middle):>20} "
               f"{p95:8.0f} {p99:8.0f} {last:13.0f} {last95:8.0f} {last99:8.0f} {cpu:8.2f}")


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """What failed, once per broker and cell."""
    seen = set()
    measured = [row.disturbance for row in rows if row.disturbance is not None]
    disturbed = sum(share > DISTURBED for share in measured)
    if disturbed:
        yield (f"note: in {disturbed} of {len(measured)} rows other programs held the cores for more than "
               f"{DISTURBED:.0%} of the time; such figures are worth little, run it on a quiet machine")
    for row in rows:
        line = f"note: {_label(_key(row)).strip()}, {row.broker}, round {row.round}: {row.note}"
        if row.note and line not in seen:
            seen.add(line)
            yield line


def _groups(rows: Sequence[Row], regime: str) -> Iterator[tuple[CellKey, str, list[Row]]]:
    for cell in _cells(rows):
        for broker in dict.fromkeys(row.broker for row in rows):
            group = [row for row in rows if row.broker == broker and row.regime == regime
                     and _key(row) == cell and not row.note]
            if group:
                yield cell, broker, group


def _span(values: Sequence[float]) -> str:
    return f"{min(values):,.0f} .. {max(values):,.0f}"


def _column(group: Iterable[Row], name: str) -> list[float]:
    return [float(getattr(row, name)) for row in group]


def _cells(rows: Sequence[Row]) -> list[CellKey]:
    return list(dict.fromkeys(_key(row) for row in rows))


def _key(row: Row) -> CellKey:
    return row.subscribers, row.payload_bytes, row.qos


def _label(cell: CellKey) -> str:
    return f"n={cell[0]:<5} {cell[1]:>5} B  QoS {cell[2]}"
