"""Tables: the same cells as text, as HTML and as a data frame."""

from __future__ import annotations

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.widgets import Table

TABLE = Table(("name", "QoS", "time s"), (("dashboard", 1, 0.25), ("old", 0, None)), "who")


def test_text_is_aligned_numbers_to_the_right() -> None:
    assert repr(TABLE).splitlines() == [
        "who",
        "name       QoS  time s",
        "dashboard    1   0.250",
        "old          0",
    ]


def test_numbers_as_text_stand_under_each_other_as_well() -> None:
    table = Table(("who", "us"), (("a", "28.9"), ("b", ""), ("c", "4.5")))
    assert repr(table).splitlines() == ["who    us", "a    28.9", "b", "c     4.5"]
    assert '<td class="mqs-n">4.5</td>' in table.html()
    assert repr(Table(("version",), (("1.2.3",), ("4",)))) == "version\n1.2.3\n4"


def test_wide_characters_and_long_cells_keep_the_columns() -> None:
    table = Table(("a", "b"), (("\u65e5\u672c", "x"), ("y" * 200, "z")))
    lines = repr(table).splitlines()
    assert lines[2].endswith("..yyyyyyyyyyyyyyyyyyyyyyyyyyyyy  z")
    assert lines[1].index("x") == lines[2].index("z") - 2, "a wide character is two cells, one character"


def test_html_escapes_what_an_attacker_chose() -> None:
    html = Table(("topic",), (("<script>alert('x')</script>\n",),), "<b>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;\\n" in html
    assert "<caption>&lt;b&gt;</caption>" in html


def test_html_sets_numbers_to_the_right_and_text_to_the_left() -> None:
    html = TABLE.html()
    assert '<td class="">dashboard</td><td class="mqs-n">1</td>' in html
    assert '<th scope="col" class="mqs-n">QoS</th>' in html


def test_parts_of_a_table() -> None:
    assert TABLE.column("QoS") == (1, 0)
    assert len(TABLE[:1]) == 1
    assert TABLE[1:].rows == (("old", 0, None),)
    assert TABLE.where(lambda row: row["QoS"] == 1).rows == (("dashboard", 1, 0.25),)


def test_as_a_data_frame() -> None:
    frame = TABLE.frame()
    assert list(frame.columns) == ["name", "QoS", "time s"]
    assert frame["QoS"].sum() == 1


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="1 cells under 2 columns"):
        Table(("a", "b"), ((1,),))
    with pytest.raises(ConfigurationError, match="no column 'c'; there are name, QoS, time s"):
        TABLE.column("c")
