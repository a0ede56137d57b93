"""Lab 01 in a browser: every cell runs, the buttons and sliders change the pictures, nothing complains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttsec.labs import CuriousBroker
from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "01_mqtt_and_the_curious_broker.ipynb"
LADDER = ".mqs-steady"
LINKS = ".mqs-explorer"


def test_a_reader_goes_through_the_lab(lab_page: Callable[[str], NotebookPage], notebooks: Path) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    every_slider_has_its_label_as_name(lab)
    the_stepper_answers(lab)
    every_control_is_reached_by_keyboard(lab)
    the_links_answer(lab)
    both_themes_are_legible(lab)
    assert (notebooks / "out" / "lab01.pcap").stat().st_size > 1000
    assert lab.complaints() == []


def every_slider_has_its_label_as_name(lab: NotebookPage) -> None:
    for name in ("Packet", "Breaks", "Seed", "Story of QoS"):
        lab.slider(name).wait_for()
    assert lab.unnamed_sliders() == 0


def the_stepper_answers(lab: NotebookPage) -> None:
    before = lab.picture(LADDER)
    assert "dashboard" in before
    lab.click("Next")
    stepped = lab.wait_until_different(LADDER, before)
    # A drag passes through many values; the last is the one that stays.
    lab.drag_slider("Packet", 1.0)
    lab.shown(".widget-label:has-text('30 of 30')").wait_for()
    lab.click("Back")
    lab.shown(".widget-label:has-text('29 of 30')").wait_for()
    assert lab.picture(LADDER) != stepped
    lab.click("Reset")
    lab.shown(f"{LADDER} desc:has-text('1 packet between')").wait_for(state="attached")


def every_control_is_reached_by_keyboard(lab: NotebookPage) -> None:
    lab.button("Next").focus()
    before = lab.picture(LADDER)
    lab.page.keyboard.press("Enter")
    stepped = lab.wait_until_different(LADDER, before)
    # Back is enabled now, so from Next: Reset, the slider's handle, the list.
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("ArrowRight")
    lab.wait_until_different(LADDER, stepped)
    lab.shown(".widget-label:has-text('3 of 30')").wait_for()
    # JupyterLab would take the arrow keys of a list, and go to another cell.
    lab.page.keyboard.press("Tab")
    eyes = lab.page.locator(".jp-OutputArea-output select").first
    assert eyes.evaluate("list => list === document.activeElement")
    lab.page.keyboard.press("ArrowDown")
    assert eyes.input_value() == "broker"
    assert eyes.evaluate("list => list === document.activeElement")
    assert eyes.evaluate("list => getComputedStyle(list).outlineWidth") == "2px", "the focus can be seen"
    eyes.select_option("listener with TLS")
    lab.shown(".mqs:has-text('its size and its time, nothing else')").wait_for()


def the_links_answer(lab: NotebookPage) -> None:
    with CuriousBroker(seed=7) as mine:
        lost = {breaking: mine.breaking_link(breaking).runs[0].lost for breaking in (0.0, 0.15, 0.3)}
    assert len(set(lost.values())) == 3

    def wait_for_losses(breaking: float) -> None:
        lab.shown(f"{LINKS} desc:has-text('QoS 0: {lost[breaking]} lost')").wait_for(state="attached")

    wait_for_losses(0.15)
    lab.drag_slider("Breaks", 0.0)
    wait_for_losses(0.0)
    lab.drag_slider("Breaks", 1.0)
    wait_for_losses(0.3)
    lab.click("Reset", 1)
    wait_for_losses(0.15)


def both_themes_are_legible(lab: NotebookPage) -> None:
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{LINKS} svg text")[:3]) < 250, "dark on light"
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{LINKS} svg text")[:3]) > 500, "light on dark"
