"""Lab 01 in a browser: every cell runs, the buttons and sliders change the pictures, nothing complains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttsec.labs import CuriousBroker
from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "01_mqtt_and_the_curious_broker.ipynb"
LINKS = ".mqs-explorer"


@pytest.fixture
def lab(lab_page: Callable[[str], NotebookPage]) -> NotebookPage:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    return lab


def test_the_stepper_answers_and_nothing_complains(lab: NotebookPage, notebooks: Path) -> None:
    picture = ".mqs-steady"
    before = lab.picture(picture)
    assert "dashboard" in before
    lab.click("Next")
    stepped = lab.wait_until_different(picture, before)
    # A drag passes through many values; the last is the one that stays.
    lab.drag_slider("Packet", 1.0)
    lab.shown(".widget-label:has-text('30 of 30')").wait_for()
    lab.click("Back")
    lab.shown(".widget-label:has-text('29 of 30')").wait_for()
    assert lab.picture(picture) != stepped
    lab.click("Reset")
    lab.shown(f"{picture} desc:has-text('1 packet between')").wait_for(state="attached")

    lab.page.locator(".jp-OutputArea-output select").first.select_option("listener with TLS")
    lab.shown(".mqs:has-text('its size and its time, nothing else')").wait_for()

    assert (notebooks / "out" / "lab01.pcap").stat().st_size > 1000
    assert lab.complaints() == []


def test_the_links_answer_in_both_themes(lab: NotebookPage) -> None:
    with CuriousBroker(seed=7) as mine:
        lost = {breaking: mine.breaking_link(breaking).runs[0].lost for breaking in (0.0, 0.15, 0.3)}
    assert len(set(lost.values())) == 3

    def wait_for_losses(breaking: float) -> None:
        # A drag passes through many values; the last is the one that stays.
        lab.shown(f"{LINKS} desc:has-text('QoS 0: {lost[breaking]} lost')").wait_for(state="attached")

    wait_for_losses(0.15)
    lab.drag_slider("Breaks", 0.0)
    wait_for_losses(0.0)
    lab.drag_slider("Breaks", 1.0)
    wait_for_losses(0.3)
    lab.click("Reset", 1)
    wait_for_losses(0.15)
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{LINKS} svg text")[:3]) < 250, "dark on light"
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{LINKS} svg text")[:3]) > 500, "light on dark"
    assert lab.complaints() == []


def test_every_control_is_reached_by_keyboard(lab: NotebookPage) -> None:
    picture = ".mqs-steady"
    lab.button("Next").focus()
    before = lab.picture(picture)
    lab.page.keyboard.press("Enter")
    stepped = lab.wait_until_different(picture, before)
    # Back is enabled now, so from Next: Reset, the slider's handle.
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("ArrowRight")
    lab.wait_until_different(picture, stepped)
    assert lab.complaints() == []
