"""How long lab 07 takes to redraw after a slider moved: `pytest -s tests/bench/test_sliders.py` prints it."""

from __future__ import annotations

import statistics
import time

import pytest

from mqttsec.labs import Anonymity

AIM_S = 0.1
"""Seconds that a redraw may take."""


@pytest.mark.bench
def test_lab_07_redraws() -> None:
    with Anonymity(seed=7) as lab:
        for explorer, slider in (
            ("explore", "messages"), ("explore", "n"), ("explore_path", "n"), ("explore_path", "p_f"),
            ("explore_time", "n"), ("explore_time", "lifetime"), ("explore_costs", "n"),
        ):  # fmt: skip
            widget = getattr(lab, explorer)()
            moved = widget.sliders[slider]
            spent = []
            for _ in range(10):
                before = widget.html
                began = time.process_time()
                moved.value += moved.step
                spent.append(time.process_time() - began)
                assert widget.html != before
            said = "met" if statistics.median(spent) < AIM_S else "missed"
            print(
                f"\n{explorer:<14}{slider:<10}median {1e3 * statistics.median(spent):6.1f} ms, "
                f"longest {1e3 * max(spent):6.1f} ms; aim {1e3 * AIM_S:.0f} ms {said}",
                end="",
            )
