"""The model of the schemes' cost: what the table of operations says, in microseconds."""

from __future__ import annotations

import io

import pytest

from mqttsec.e2e import Mode, Setup
from mqttsec.e2e.schemes import SCHEMES
from mqttsec.errors import ConfigurationError
from mqttsec.measure.cost_model import (
    FORWARDING,
    PRIMITIVES,
    SIZES,
    Cost,
    Costs,
    costs_of,
    measured_costs,
    predict,
    recorded_costs,
    write_costs,
)
from mqttsec.measure.overhead_figures import (
    growth_figure,
    measured_means,
    model_means,
    paper_figure,
    paper_means,
    primitive_figure,
    scaled,
)

FLAT = Costs(
    tuple(Cost(what, "paper", 64, us) for what, us in (("seal", 3.0), ("open", 2.0), ("mac", 1.0)))
    + tuple(Cost(what, "", 0, us) for what, us in (("take", 50.0), ("send", 5.0), ("copy", 10.0)))
)
"""Costs that do not depend on sizes, so that one can reckon."""


@pytest.mark.parametrize(
    ("number", "mode", "n", "publisher", "crypto"),
    [
        (1, Mode.SINGLE_CIPHERTEXT, 200, 3.0, 0.0),
        (2, Mode.SINGLE_CIPHERTEXT, 200, 6.0, 2.0 + 200 * 3.0),
        (3, Mode.SINGLE_CIPHERTEXT, 200, 6.0, 2.0 + 3.0),
        (4, Mode.SINGLE_CIPHERTEXT, 200, 4.0, 1.0 + 1.0),
        (1, Mode.PER_RECIPIENT, 200, 200 * 3.0, 0.0),
        (2, Mode.PER_RECIPIENT, 200, 200 * 6.0, 200 * (2.0 + 3.0)),
        (3, Mode.PER_RECIPIENT, 200, 6.0, 5.0),
        (4, Mode.PER_RECIPIENT, 200, 4.0, 2.0),
    ],
)
def test_cryptography_is_the_table_times_the_costs(
    number: int, mode: Mode, n: int, publisher: float, crypto: float
) -> None:
    found = predict(FLAT, Setup(number, mode=mode), n, 1024)
    assert (found.publisher_us, found.crypto_us) == (publisher, crypto)


def test_only_scheme_2_grows_at_its_minimum() -> None:
    def least(number: int, n: int) -> float:
        return predict(FLAT, Setup(number, mode=Mode.SINGLE_CIPHERTEXT), n, 1024).min_us

    for number in (1, 3, 4):
        assert least(number, 200) == least(number, 50)
    steps = [least(2, n) - least(2, n - 50) for n in (100, 150, 200)]
    assert steps == [50 * (10.0 + 3.0)] * 3, "linear: a copy and a seal for each"


def test_the_order_of_the_paper() -> None:
    for n in (100, 200):
        means = model_means(FLAT, n, 1024)
        assert means[1] < means[4] < means[3] < means[2]


def test_with_a_ciphertext_per_recipient_messages_queue() -> None:
    few, many = (predict(FLAT, Setup(1), n, 1024) for n in (10, 100))
    assert many.broker_cpu_us == few.broker_cpu_us == 50 + 5
    assert many.mean_us > 5 * few.mean_us


def test_costs_lie_on_lines() -> None:
    costs = Costs(
        (Cost("mac", "paper", 100, 1.0), Cost("mac", "paper", 200, 3.0), Cost("mac", "paper", 400, 4.0))
    )
    wanted = {100: 1.0, 150: 2.0, 200: 3.0, 300: 3.5, 600: 5.0, 60: 0.2, 10: 0.0}
    assert {size: round(costs.of("mac", "paper", size), 9) for size in wanted} == wanted
    with pytest.raises(ConfigurationError, match="no cost of 'seal' paper"):
        costs.of("seal", "paper", 1)


def test_recorded_costs_are_complete_and_survive_a_file() -> None:
    costs = recorded_costs()
    assert {row.what for row in costs.rows} == {*PRIMITIVES, *FORWARDING}
    assert all(row.us > 0 for row in costs.rows)
    file = io.StringIO()
    write_costs(costs, file)
    header, *rows = (line.split(",") for line in file.getvalue().splitlines())
    assert costs_of(dict(zip(header, row, strict=True)) for row in rows) == costs
    with pytest.raises(ConfigurationError, match="these are no costs"):
        costs_of([{"what": "seal"}])


def test_recorded_costs_say_what_the_lab_says() -> None:
    """CBC with HMAC: a tag alone is much cheaper. GCM: it is not, below about 4 kB, even as GMAC."""
    costs = recorded_costs()
    for size in (64, 1024, 4096):
        assert costs.of("mac", "paper", size) < 0.7 * costs.of("seal", "paper", size)
    for size in (64, 256, 1024):
        assert costs.of("mac", "aes-gcm-gmac", size) > 0.7 * costs.of("seal", "aes-gcm-gmac", size)
        assert costs.of("mac", "aes-gcm", size) > 0.7 * costs.of("seal", "aes-gcm", size)


def test_primitives_can_be_measured_here() -> None:
    costs = measured_costs(("paper",), sizes=(64, 65_536))
    assert len(costs.rows) == 6
    assert costs.of("seal", "paper", 65_536) > costs.of("seal", "paper", 64) > 0
    assert SIZES[0] == 64


def test_figures_show_model_measurement_and_paper() -> None:
    figure = paper_figure((), FLAT, 200)
    assert [trace.name for trace in figure.data] == ["model", "paper, table A", "paper, table B"]
    assert [trace.y[0] for trace in figure.data] == [1.0, 1.0, 1.0]
    assert paper_means(200)["A"] == {1: 15.939, 4: 17.299, 3: 21.728, 2: 30.418}
    assert scaled({1: 2.0, 3: 5.0}) == {1: 1.0, 3: 2.5}
    assert measured_means((), 200) == {}
    assert len(primitive_figure(recorded_costs()).data) == 6
    assert len(growth_figure(()).data) == len(SCHEMES)
