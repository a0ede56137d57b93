"""The ladder as SVG: well-formed, escaped, stable, readable without colour."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.packets import Auth, Connect, Pingreq, Properties, Puback, Publish
from mqttsec.trace import EventKind, ladder, seen_on_network, svg_ladder
from tests.trace.runs import BROKER, Script, weather

SCRAM = Properties(authentication_method="SCRAM-SHA-256")
SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def words(picture: str) -> str:
    """All visible text of the picture."""
    return " ".join("".join(text.itertext()) for text in parsed(picture).iter(f"{SVG}text"))


def groups(picture: str) -> list[ElementTree.Element]:
    return parsed(picture).findall(f"{SVG}g")


def arrow_style(picture: str, number: int = 1) -> str:
    [path] = [
        path.attrib["style"]
        for group in groups(picture)
        if (group.findtext(f"{SVG}title") or "").startswith(f"{number}: ")
        for path in group.findall(f"{SVG}path")
        if "marker-end" in path.attrib
    ]
    return path


def test_picture_names_parties_packets_times_and_notes() -> None:
    shown = words(svg_ladder(weather(0.055, lossy=True)))
    for word in (
        "station",
        "broker",
        "dashboard",
        "PUBLISH QoS 1 id 7",
        '"site/seattle" 33 B',
        "1.390",
        "lost",
        "derives K_PB (2 H, 1 E)",
        "REJECTED:",
        "sent s",
        "arr. s",
    ):
        assert word in shown


def test_accessible_name_and_description() -> None:
    root = parsed(svg_ladder(weather(), title="Lab 01 <&>"))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and description is not None
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert title.text == "Lab 01 <&>"
    assert description.text == (
        "14 packets between station, broker, dashboard. The last row: 14: broker to station: "
        "DISCONNECT 0x82 Protocol error, 3 bytes, sent at 0.130 s, arrived at 0.130 s."
    )


def test_each_row_has_a_tool_tip_in_words() -> None:
    tips = [group.findtext(f"{SVG}title") for group in groups(svg_ladder(weather()))]
    assert len(tips) == len(ladder(weather()).rows)
    assert "dashboard: derives K_PB (2 H, 1 E), at 0.100 s" in tips


def test_colours_come_from_the_page() -> None:
    picture = svg_ladder(weather(0.055, lossy=True), highlight=3)
    colours = set(re.findall(r"(?:fill|stroke|color):([^;\"]+)", picture))
    assert colours <= {"none", "currentColor"} | {
        f"var(--jp-{name},currentColor)"
        for name in ("content-font-color1", "content-font-color2", "brand-color1", "error-color1")
    }


def test_kinds_of_packets_differ_without_colour() -> None:
    styles = {}
    for packet in (Publish("a"), Connect("a"), Puback(1), Pingreq(), Auth(0x18, SCRAM)):
        script = Script()
        script.pass_on("a", BROKER, packet)
        styles[type(packet)] = arrow_style(svg_ladder(script.trace))
    script = Script()
    script.pass_on("a", BROKER, Publish("a"), protected=True)
    styles[bytes] = arrow_style(svg_ladder(seen_on_network(script.trace)))
    assert len(set(styles.values())) == len(styles)


def test_arrow_heads_are_in_user_space_and_point_to_their_marker() -> None:
    root = parsed(svg_ladder(weather(), highlight=2))
    markers = {marker.attrib["id"]: marker for marker in root.iter(f"{SVG}marker")}
    assert all(marker.attrib["markerUnits"] == "userSpaceOnUse" for marker in markers.values())
    used = [path.attrib["marker-end"] for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]
    assert len(used) == 14
    assert {reference[len("url(#") : -1] for reference in used} == set(markers)


def test_lost_packet_ends_in_a_cross_and_has_no_head() -> None:
    [group] = [
        g for g in groups(svg_ladder(weather(lossy=True))) if "LOST" in (g.findtext(f"{SVG}title") or "")
    ]
    paths = group.findall(f"{SVG}path")
    assert not any("marker-end" in path.attrib for path in paths)
    assert any("l12 12m0 -12l-12 12" in path.attrib["d"] for path in paths)
    assert "LOST" in "".join(group.itertext())


def test_current_arrow_is_marked_by_more_than_colour() -> None:
    plain, marked = svg_ladder(weather(), upto=3), svg_ladder(weather(), upto=3, highlight=3)

    def thickness(picture: str) -> float:
        found = re.search(r"stroke-width:([\d.]+)", arrow_style(picture, 3))
        assert found
        return float(found[1])

    assert thickness(marked) > thickness(plain)
    assert "l8 4.5l-8 4.5z" in marked and "l8 4.5l-8 4.5z" not in plain


def test_stepper_adds_rows_and_keeps_the_size() -> None:
    diagram = ladder(weather(0.055, lossy=True))
    pictures = [
        svg_ladder(diagram, upto=number, highlight=number) for number in range(len(diagram.arrows) + 1)
    ]
    assert len({(parsed(each).attrib["width"], parsed(each).attrib["height"]) for each in pictures}) == 1
    counts = [len(groups(each)) for each in pictures]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == len(diagram.rows)
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("current", [1, 5, 9, 15])
def test_window_holds_the_current_arrow(current: int) -> None:
    diagram = ladder(weather(lossy=True))
    picture = svg_ladder(diagram, highlight=current, window=6)
    numbers = [
        tip.split(":")[0] for g in groups(picture) if (tip := g.findtext(f"{SVG}title") or "")[0].isdigit()
    ]
    assert str(current) in numbers
    assert len(numbers) == 6


def test_same_trace_same_picture_and_ids_differ_between_pictures() -> None:
    assert svg_ladder(weather()) == svg_ladder(weather())
    first, second = svg_ladder(weather(), upto=1), svg_ladder(weather(), upto=2)
    assert not set(re.findall(r' id="([^"]+)"', first)) & set(re.findall(r' id="([^"]+)"', second))
    assert 'id="mine-head"' in svg_ladder(weather(), ident="mine")


def test_slanted_arrows_go_down_and_cross() -> None:
    script = Script()
    script.sent("a", BROKER, Publish("slow"))
    script.wait(0.01)
    script.sent("a", BROKER, Publish("fast"))
    script.wait(0.01)
    script.received(BROKER, "a", Publish("fast"))
    script.wait(0.01)
    script.received(BROKER, "a", Publish("slow"))
    lines = []
    for path in parsed(svg_ladder(script.trace, slanted=True)).iter(f"{SVG}path"):
        if "marker-end" in path.attrib:
            lines.append([float(number) for number in re.findall(r"[\d.]+", path.attrib["d"])])
    (_, slow_from, _, slow_to), (_, fast_from, _, fast_to) = lines
    assert slow_from < fast_from < fast_to < slow_to


def test_lifelines_make_room_for_text_that_crosses_them() -> None:
    script = Script()
    script.pass_on("a", BROKER, Connect("a"))
    script.pass_on("b", BROKER, Connect("b"))
    script.pass_on("a", "b", Publish("t"))
    picture = svg_ladder(ladder(script.trace, parties=["a", BROKER, "b"]))
    lifelines = [path.attrib["d"] for path in parsed(picture).findall(f"{SVG}path")]
    assert [line.count("M") for line in lifelines] == [1, 2, 1]


def test_user_text_is_escaped() -> None:
    name = '<script>alert("1")</script>&\x00\x1b\ud800'
    script = Script()
    script.trace.record(EventKind.NOTE, name, detail=name)
    script.pass_on("x", name, Publish("<b>&amp;"))
    picture = svg_ladder(script.trace, title=name)
    assert "<script" not in picture and "<b>" not in picture
    assert '"<b>&amp;"' in words(picture)
    picture.encode()


@given(st.text(max_size=40), st.text(max_size=40), st.integers(100, 900), st.booleans())
def test_any_text_gives_well_formed_xml(name: str, detail: str, width: int, slanted: bool) -> None:
    script = Script(delay=0.01)
    script.trace.record(EventKind.NOTE, name, detail=detail)
    script.pass_on(name, BROKER, Pingreq(), detail=detail)
    parsed(svg_ladder(script.trace, width=width, slanted=slanted, title=detail, highlight=1))


def test_nothing_happened_is_a_picture_too() -> None:
    assert "nothing has happened yet" in words(svg_ladder([]))


def test_times_can_be_left_out() -> None:
    shown = words(svg_ladder(weather(0.055), times=False))
    assert "0.055" not in shown and "time s" not in shown


def test_message_to_oneself_and_many_parties() -> None:
    script = Script()
    script.pass_on("a", "a", Publish("t"))
    assert "PUBLISH" in words(svg_ladder(script.trace))
    script = Script()
    for number in range(15):
        script.pass_on(f"client-{number}", BROKER, Pingreq())
    assert float(parsed(svg_ladder(script.trace, width=400)).attrib["width"]) > 15 * 120


@pytest.mark.parametrize("width", [300, 500, 900])
def test_all_text_is_inside_the_picture(width: int) -> None:
    script = Script(delay=0.01)
    for name in ("p", "s1", "s2", "s3", "a rather long client identifier"):
        script.pass_on(name, BROKER, Connect(name, username="somebody", password=b"x", keep_alive=60_000))
        script.trace.record(EventKind.REJECTED, name, detail="a reason that needs many lines " * 3)
    root = parsed(svg_ladder(script.trace, width=width))
    right_edge, bottom = float(root.attrib["width"]), float(root.attrib["height"])
    for text in root.iter(f"{SVG}text"):
        title = text.find(f"{SVG}title")
        shown = "".join(text.itertext()).removeprefix((title.text or "") if title is not None else "")
        size, x = len(shown) * 7.2, float(text.attrib["x"])
        left = {"start": x, "middle": x - size / 2, "end": x - size}[text.attrib["text-anchor"]]
        assert left >= 0 and left + size <= right_edge, shown
        assert 0 < float(text.attrib["y"]) < bottom
