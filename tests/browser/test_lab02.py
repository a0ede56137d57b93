"""Lab 02 in a browser: every cell runs, the console steps and meddles, nothing complains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "02_handshake.ipynb"
CONSOLE = ".mqs-console"


def test_a_reader_goes_through_the_lab(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    the_console_steps(lab)
    the_console_meddles(lab)
    it_is_legible_in_both_themes(lab)
    assert lab.complaints() == []


def the_console_steps(lab: NotebookPage) -> None:
    # The cells below the console have taken the run further, so it begins anew.
    lab.click("Reset")
    lab.shown(f"{CONSOLE}:has-text('next: step 1, CONNECT alice to broker')").wait_for()
    before = lab.picture(CONSOLE)
    lab.click("Next")
    first = lab.wait_until_different(CONSOLE, before)
    assert "broker: derives K_PB" in first and "<svg" in first
    lab.click("Next")
    lab.wait_until_different(CONSOLE, first)
    lab.shown(f"{CONSOLE}:has-text('alice: derives K_PB')").wait_for()
    lab.click("Back")
    lab.shown(f"{CONSOLE}:has-text('broker: derives K_PB')").wait_for()


def the_console_meddles(lab: NotebookPage) -> None:
    lab.click("Replay")
    lab.shown(f"{CONSOLE}:has-text('sends packet 1 again')").wait_for()
    lab.click("Reset")
    lab.shown(f"{CONSOLE}:has-text('next: step 1, CONNECT alice to broker')").wait_for()
    field = lab.page.locator(".jp-OutputArea-output select").nth(1)
    assert field.input_value() == "publisher"
    field.select_option("signature")
    lab.click("Tamper")
    lab.shown(f"{CONSOLE}:has-text('signature Sig_P:c1 failed')").wait_for()
    lab.click("Reset")
    lab.click("Drop")
    lab.shown(f"{CONSOLE}:has-text('network: drops it')").wait_for()


def it_is_legible_in_both_themes(lab: NotebookPage) -> None:
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{CONSOLE} svg text")[:3]) < 250, "dark on light"
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{CONSOLE} svg text")[:3]) > 500, "light on dark"
