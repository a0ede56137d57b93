"""The picture of a network: everybody is there, arrows are told in words as well, words do not collide."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.widgets.network import HEIGHT, WIDTH, Kind, Leg, Place, Way, network_svg

BRIDGES = [Place(f"b{number}", Kind.BRIDGE, marked=number == 3) for number in range(1, 11)]
PLACES = [
    Place("publisher", Kind.CLIENT),
    Place("subscriber", Kind.CLIENT),
    *BRIDGES,
    Place("public", Kind.PUBLIC),
    Place("d1", Kind.DISCOVERY),
    Place("d2", Kind.DISCOVERY),
]
LEGS = [
    Leg("publisher", "b1"),
    Leg("b1", "b4", "always"),
    Leg("b4", "b7", "R 0.31"),
    Leg("b7", "b7", "R 0.12"),
    Leg("b7", "b4", "R <0.55"),
    Leg("b4", "public", "R 0.91"),
    Leg("public", "b5", way=Way.DELIVER),
    Leg("b5", "b1", way=Way.LOST),
]


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_everybody_is_named_and_inside_the_picture() -> None:
    svg = network_svg(PLACES, LEGS, title="Six hops & more")
    assert {place.name for place in PLACES} <= set(texts(svg))
    for x, y in re.findall(r'<text x="([-\d.]+)" y="([-\d.]+)"', svg):
        assert 0 < float(x) < WIDTH and 0 < float(y) < HEIGHT
    assert "Six hops &amp; more" in svg and "R &lt;0.55" in svg


def test_arrows_appear_one_by_one_and_the_last_stands_out() -> None:
    for upto in range(len(LEGS) + 1):
        svg = network_svg(PLACES, LEGS, upto=upto)
        labels = [words for words in texts(svg) if re.match(r"\d+(:|$)", words)]
        assert len(labels) == upto
        assert svg.count("--jp-brand-color1") == (0 if upto in (0, len(LEGS)) else 2)
    assert "nothing has been sent yet" in network_svg(PLACES, LEGS, upto=0)
    assert "--jp-brand-color1" not in network_svg(PLACES, LEGS[:3], highlight=False)
    assert "8: lost b5 to b1" in network_svg(PLACES, LEGS)
    plain = texts(network_svg(PLACES, LEGS, numbers=False))
    assert "R 0.31" in plain and not [words for words in plain if re.match(r"\d", words)]


def test_ways_differ_without_colour() -> None:
    drawn = {way: network_svg(PLACES, [Leg("b1", "b5", way=way)]) for way in Way}
    dashes = {
        way: re.findall(r"stroke-dasharray:([\d ]+)", svg.split("<g>")[0]) for way, svg in drawn.items()
    }
    assert dashes[Way.PUBLISH] == [] and dashes[Way.DELIVER] != dashes[Way.SUBSCRIBE]
    assert drawn[Way.LOST].count("l14 14m0 -14") == 1


def test_two_arrows_between_the_same_two_do_not_lie_on_each_other() -> None:
    svg = network_svg(PLACES, [Leg("b4", "b7"), Leg("b7", "b4"), Leg("b4", "b7"), Leg("b7", "b4")])
    controls = re.findall(r"Q([-\d.]+ [-\d.]+) ", svg)
    assert len(set(controls)) == 4
    words = re.findall(
        r'<text x="([-\d.]+)" y="([-\d.]+)" text-anchor="middle" style="[^"]*stroke-linejoin', svg
    )
    assert len(set(words)) == 4


@pytest.mark.parametrize("count", [2, 3, 12, 30])
def test_any_number_of_bridges(count: int) -> None:
    svg = network_svg([Place(f"b{number}", Kind.BRIDGE) for number in range(count)], [])
    spots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert len(set(spots)) == count


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ConfigurationError, match="no such place"):
        network_svg(PLACES, [Leg("b1", "b99")])
    with pytest.raises(ConfigurationError, match="same name"):
        network_svg([*BRIDGES, BRIDGES[0]], [])
