"""Lab 08 in a browser: every cell runs, the model is asked anew at a change, the attack can be stepped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "08_proofs.ipynb"
VERDICT = ".mqs-explorer p"
STEPPER = ".mqs-stepper svg"


def test_asking_and_stepping_in_both_themes(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()

    lab.shown(f"{VERDICT}:has-text('attack with 3 instances')").wait_for(state="attached")
    lists = lab.page.locator(".jp-OutputArea-output select")
    lists.nth(2).select_option("secrecy K_PB")
    lab.shown(f"{VERDICT}:has-text('safe with 3 instances')").wait_for(state="attached")
    lists.nth(1).select_option("insider")
    lists.nth(2).select_option("binding P-B")
    lab.shown(f"{VERDICT}:has-text('attack with 2 instances')").wait_for(state="attached")

    before = lab.picture(STEPPER)
    lab.click("Next")
    assert lab.wait_until_different(STEPPER, before) != before
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{STEPPER} text")[:3]) < 250, "dark on light"
    lab.screenshot("lab08_light.png", ".mqs-explorer")
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{STEPPER} text")[:3]) > 500, "light on dark"
    lab.screenshot("lab08_dark.png", ".mqs-explorer")
    lab.screenshot("lab08_stepper_dark.png", ".mqs-stepper")
    assert lab.complaints() == []
