"""The text source of a lab: cells, ids, tags, solutions."""

from __future__ import annotations

import pytest

from tools.lab_source import SourceError, parse, without_solution

SOURCE = '''\
# Comments before the first cell are for authors.

# %% [markdown] id=title
# # Adding
#
# A paragraph.

# %%
from mqttsec import labs

lab = labs.Adding(seed=7)

# %% tags=nbval-ignore-output,timing
lab.time()

# %% [markdown]
# ## Exercise 1

# %%
answer = ...
### BEGIN SOLUTION
answer = 2
### END SOLUTION

# %% [markdown] tags=teacher
# Most readers say 11.
'''


def test_cells_have_kind_id_text_and_tags() -> None:
    assert [(cell.kind, cell.id, cell.tags, cell.text) for cell in parse(SOURCE)] == [
        ("markdown", "title", (), "# Adding\n\nA paragraph."),
        ("code", "adding-2", (), "from mqttsec import labs\n\nlab = labs.Adding(seed=7)"),
        ("code", "adding-3", ("nbval-ignore-output", "timing"), "lab.time()"),
        ("markdown", "exercise-1-1", (), "## Exercise 1"),
        ("code", "exercise-1-2", (), "answer = ...\n### BEGIN SOLUTION\nanswer = 2\n### END SOLUTION"),
        ("markdown", "exercise-1-3", ("teacher",), "Most readers say 11."),
    ]


def test_a_solution_at_the_margin_leaves_what_stands_above_it() -> None:
    text = "answer = ...\n### BEGIN SOLUTION\nanswer = 2\n### END SOLUTION"
    assert without_solution(text) == "answer = ..."


def test_a_solution_in_a_body_leaves_dots_that_compile() -> None:
    text = (
        'def double(x):\n    """Twice x."""\n'
        "    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n\n"
        "check.exercise_1(double)"
    )
    reader = without_solution(text)
    assert reader == 'def double(x):\n    """Twice x."""\n    ...\n\ncheck.exercise_1(double)'
    compile(reader, "cell", "exec")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n# %%\ny = 2", "line 1: code before the first"),
        ("# %%\n\n# %%\ny = 2", "line 1: an empty cell"),
        ("# %% [markdown]\nplain text", "near line 2: text in a .markdown. cell must begin"),
        ("# %% name=x\ny = 2", "line 1: 'name=x' is neither id=... nor tags=..."),
        ("# %% id=a\nx\n# %% id=a\ny", "line 1: two cells have the id a"),
        ("# %%\n### BEGIN SOLUTION\nx = 1", "line 1: .* do not pair"),
        ("# %%\n### END SOLUTION\n### BEGIN SOLUTION", "line 1: .* do not pair"),
    ],
)
def test_mistakes_name_the_line(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse(source)
