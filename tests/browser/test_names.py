"""Sliders have names, as buttons and lists do: a reader without eyes finds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize(
    ("notebook", "names"),
    (
        ("01_mqtt_and_the_curious_broker.ipynb", ("Packet", "Breaks", "Seed", "Story of QoS")),
        ("03_four_schemes.ipynb", ("Scheme", "Subscribers")),
        ("05_group_keys.ipynb", ("Event",)),
    ),
)
def test_every_slider_has_its_label_as_name(
    lab_page: Callable[[str], NotebookPage], notebook: str, names: tuple[str, ...]
) -> None:
    lab = lab_page(notebook)
    lab.run_all()
    outputs = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")
    for name in names:
        outputs.get_by_role("slider", name=name, exact=True).first.wait_for()
    unnamed = ".noUi-handle:not([aria-label])"
    assert outputs.locator(unnamed).count() == 0
    assert outputs.get_by_role("slider").count() >= len(names)
