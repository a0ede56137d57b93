"""The picture of a crowd: kinds by shape, the path as arrows, all of it well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mqttsec.widgets.crowd import Broker, crowd_svg, percent

SVG = "{http://www.w3.org/2000/svg}"


def crowd(n: int, c: int) -> list[Broker]:
    share = 1 / (n - c)
    return [
        Broker(f"B{number}", number >= n - c, number == 0, None if number >= n - c else share)
        for number in range(n)
    ]


def drawn(n: int, c: int, path: tuple[int, ...] = ()) -> ET.Element:
    return ET.fromstring(crowd_svg(crowd(n, c), path, "a < b", "said & done"))


@pytest.mark.parametrize(("n", "c"), [(2, 1), (4, 0), (5, 4), (20, 4), (40, 20)])
def test_every_broker_has_its_shape_and_its_name(n: int, c: int) -> None:
    picture = drawn(n, c)
    squares = list(picture.iter(f"{SVG}rect"))
    assert len(squares) == c + 1, "one more in the legend"
    names = [str(text.text).split()[0] for text in picture.iter(f"{SVG}text")]
    assert {f"B{number}" for number in range(n)} <= set(names)
    spots = {(rect.get("x"), rect.get("y")) for rect in squares}
    assert len(spots) == c + 1
    assert (picture.find(f"{SVG}title").text, picture.find(f"{SVG}desc").text) == ("a < b", "said & done")  # type: ignore[union-attr]


def test_a_path_is_numbered_and_a_broker_that_picks_itself_has_a_loop() -> None:
    def numbers(path: tuple[int, ...]) -> list[str]:
        return [str(t.text) for t in drawn(6, 2, path).iter(f"{SVG}text") if str(t.text).isdigit()]

    assert numbers(()) == numbers((0,)) == []
    assert numbers((0, 3, 0, 5)) == ["1", "2", "3"]
    loops = len(list(drawn(6, 2, (0, 3, 3)).iter(f"{SVG}circle")))
    assert loops == len(list(drawn(6, 2, (0, 3)).iter(f"{SVG}circle"))) + 1


def test_percentages_do_not_round_to_certainty() -> None:
    shares = {0.0: "0 %", 0.001: "<1 %", 0.4975: "50 %", 0.9999: ">99 %", 1.0: "100 %"}
    assert {share: percent(share) for share in shares} == shares
