"""The stepper: its view-model without a widget, and the widget as a reader uses it."""

from __future__ import annotations

import dataclasses
import re
import threading
from xml.etree import ElementTree

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.trace import Trace, arrows, seen_by, seen_on_network
from mqttsec.widgets import Stepper, StepperWidget
from tests.trace.runs import weather


def model() -> Stepper:
    trace = weather()
    return Stepper({
        "everybody": trace,
        "dashboard": seen_by(trace, "dashboard"),
        "network": seen_on_network(trace),
        "nobody": (),
    })


def svg_of(html: str) -> str:
    return html[html.index("<svg"): html.index("</svg>") + 6]


def test_it_begins_at_the_first_packet_and_stays_within_bounds() -> None:
    stepper = model()
    assert (stepper.position, stepper.view, stepper.count) == (1, "everybody", len(arrows(weather())))
    stepper.go(0)
    assert stepper.position == 1
    stepper.go(10_000)
    assert stepper.position == stepper.count
    assert stepper.current == arrows(weather())[-1]


def test_the_picture_marks_the_current_packet_and_hides_the_future() -> None:
    stepper = model()
    stepper.go(5)
    root = ElementTree.fromstring(stepper.svg())
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("5: ") for title in titles)
    assert not any(title.startswith("6: ") for title in titles)
    assert ">5</text>" in stepper.svg()


def test_html_and_text_explain_the_same_bytes() -> None:
    stepper = model()
    stepper.go(3)
    for said in (stepper.html(), stepper.text()):
        assert "packet 3: station to broker" in said
        assert "Client Identifier" in said
    assert re.search(r"^> +3 ", stepper.text(), re.MULTILINE), "the text marks the same packet"


def test_other_eyes_see_less() -> None:
    stepper = model()
    everything = stepper.count
    stepper.go(everything)
    stepper.look_through("dashboard")
    assert stepper.count < everything
    assert stepper.position == stepper.count, "a place that the view has not is taken to its end"
    assert "station" not in stepper.diagram.parties
    stepper.look_through("nobody")
    assert (stepper.position, stepper.current) == (0, None)
    assert "no packet is seen" in stepper.html() and "no packet is seen" in stepper.text()


def test_columns_keep_their_places_from_view_to_view() -> None:
    stepper = model()
    everybody = stepper.diagram.parties
    assert everybody == ("station", "broker", "dashboard")
    hidden = Stepper({"everybody": weather(), "TLS": seen_on_network(
        dataclasses.replace(event, protected=True) for event in weather()
    )})
    hidden.look_through("TLS")
    assert hidden.diagram.parties == everybody
    assert all(not arrow.frame for arrow in hidden.diagram.arrows)
    stepper.look_through("dashboard")
    assert stepper.diagram.parties == ("broker", "dashboard")


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="needs a trace"):
        Stepper({})
    with pytest.raises(ConfigurationError, match="run something first"):
        Stepper({"everybody": Trace(lambda: 0.0)})
    with pytest.raises(ConfigurationError, match="no view 'eve'; there are everybody"):
        model().look_through("eve")


# -- the widget -----------------------------------------------------------------------------------


def test_next_back_and_reset_change_the_picture() -> None:
    widget = StepperWidget(model())
    first = widget.html
    assert widget.place.value.startswith("1 of ") and widget.back.disabled
    widget.next.click()
    assert widget.slider.value == 2 and widget.html != first
    assert not widget.back.disabled
    widget.back.click()
    assert widget.html == first
    widget.slider.value = widget.slider.max
    assert widget.next.disabled and "DISCONNECT" in widget.html
    widget.next.click()
    assert widget.slider.value == widget.slider.max, "there is nothing behind the last packet"
    widget.reset.click()
    assert widget.html == first


def test_whose_eyes_changes_the_number_of_packets() -> None:
    widget = StepperWidget(model())
    widget.slider.value = widget.slider.max
    widget.eyes.value = "dashboard"
    assert widget.slider.max == widget.model.count
    assert widget.place.value == f"{widget.model.count} of {widget.model.count}"
    widget.eyes.value = "nobody"
    assert widget.place.value == "0 of 0" and "no packet is seen" in widget.html
    widget.eyes.value = "everybody"
    assert widget.slider.max == widget.model.count > 10


def test_a_page_without_a_kernel_gets_text_and_a_picture() -> None:
    widget = StepperWidget(model())
    bundle = widget._repr_mimebundle_()
    assert bundle["text/plain"] == f"Stepper: packet 1 of {widget.model.count}, seen by everybody"
    assert ElementTree.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    assert "background:" in bundle["image/svg+xml"], "black lines on a dark page cannot be read"
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id


def test_the_picture_of_every_step_is_well_formed() -> None:
    widget = StepperWidget(model())
    for position in range(1, widget.slider.max + 1):
        widget.slider.value = position
        ElementTree.fromstring(svg_of(widget.html))


def test_callbacks_from_several_threads_end_in_one_state() -> None:
    lock = threading.RLock()
    widget = StepperWidget(model(), lock)

    def play(steps: int) -> None:
        for _ in range(40):
            widget._go(steps)

    threads = [threading.Thread(target=play, args=(step,)) for step in (1, -1, 2, -2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert widget.place.value == f"{widget.slider.value} of {widget.model.count}"
    assert f"packet {widget.slider.value}: " in widget.html


def test_a_closed_widget_does_nothing_any_more() -> None:
    widget = StepperWidget(model())
    before = widget.html
    slider = widget.slider
    widget.close()
    widget.close()
    slider.value = 5
    assert widget.html == before
