"""The console's buttons, pressed without a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mqttsec.labs import Handshake
from mqttsec.widgets.console import ConsoleWidget


@pytest.fixture
def widget() -> Iterator[ConsoleWidget]:
    with Handshake(seed=7) as lab:
        yield lab.console()


def press(widget: ConsoleWidget, *names: str) -> str:
    for name in names:
        getattr(widget, name).click()
    return widget.html


def test_next_and_back_and_end(widget: ConsoleWidget) -> None:
    assert "next: step 1, CONNECT alice to broker" in widget.html and "<svg" not in widget.html
    assert widget.back.disabled and widget.replay.disabled and not widget.next.disabled
    first = press(widget, "next")
    assert "<svg" in first and "broker: derives K_PB" in first
    assert press(widget, "next", "back") == first
    assert "nothing more is on its way" in press(widget, "end")
    assert widget.next.disabled and widget.end.disabled and widget.tamper.disabled and widget.drop.disabled
    assert press(widget, "reset").count("not yet") == 5


def test_the_fields_are_those_of_the_next_packet(widget: ConsoleWidget) -> None:
    assert widget.field.options == ("publisher", "ephemeral", "timestamp", "signature", "certificate")
    press(widget, "next", "next", "next")
    assert "ephemeral_publisher" in widget.field.options


def test_tamper_drop_and_replay(widget: ConsoleWidget) -> None:
    widget.field.value = "signature"
    assert "signature Sig_P:c1 failed" in press(widget, "tamper")
    press(widget, "reset", "drop")
    assert "network: drops it" in widget.html
    assert "sends packet 1 again" in press(widget, "reset", "next", "replay")
    assert widget.said.value == ""


def test_a_malicious_subscriber_injects(widget: ConsoleWidget) -> None:
    run = widget.model.run
    while run.position < 8:
        press(widget, "next")
    widget.attacker.value = "mallory"
    html = press(widget, "inject")
    assert "bob: checked: reads &quot;99.9 C&quot;" in html and "broken" in html


def test_a_closed_console_does_nothing(widget: ConsoleWidget) -> None:
    before = widget.html
    widget.close()
    widget.close()
    assert press(widget, "next") == before
