"""Write `docs/conformance.md`: every numbered statement of the standards, and the tests that cover it.

python -m tests.conformance.make_table
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .coverage import Statement, covered, statements

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"

HEAD = """\
# Conformance

<!-- Written by tests/conformance/make_table.py; change that, the statement lists or the tests, not this. -->

Which of the standards' numbered statements the tests in `tests/conformance` would catch a broker violating.
They are black-box tests over real TCP sockets: a client made of a plain socket sends hand-built bytes, and
what the broker answers is read by two codecs that are not ours. The statements are told in our words; the
OASIS texts decide.

    pytest tests/conformance                        # our broker
    pytest tests/conformance --broker mosquitto     # a mosquitto process
    pytest tests/conformance --broker host:port     # any broker that runs already

*Binds* says who has to keep a statement: client, server, both, or either (who sends or receives the packet).
A statement that binds the client is tested where a broker's answer to a breach is laid down. Where mosquitto
2.0.11 is known to differ from the standard, `tests/conformance/known.py` says how.
"""

VERSIONS = (
    ("5", "covers", "MQTT 5.0", "OASIS Standard, 7 March 2019, appendix B"),
    ("311", "covers_311", "MQTT 3.1.1", "OASIS Standard, 29 October 2014, appendix B"),
)


def row(statement: Statement, tests: list[str]) -> str:
    """One line of the table."""
    if tests:
        by_module: dict[str, list[str]] = {}
        for test in dict.fromkeys(tests):
            module, _, name = test.partition("::")
            by_module.setdefault(module.removeprefix("test_"), []).append(name.removeprefix("test_"))
        told = "; ".join(f"**{module}**: {', '.join(names)}" for module, names in by_module.items())
        if statement.note:
            told = f"{statement.note}. {told}"
    elif statement.testable:
        told = "**not yet**"
    else:
        told = f"no: {statement.note}"
    return f"| {statement.id} | {statement.binds} | {statement.paraphrase} | {told} |"


def table(version: str, decorator: str, title: str, source: str) -> str:
    """The section of one version of the standard."""
    rows, tests = statements(version), covered(decorator)
    count = Counter(
        "tested" if tests.get(statement.id) else "open" if statement.testable else "not testable"
        for statement in rows
    )
    server = [statement for statement in rows if statement.binds != "client"]
    done = sum(1 for statement in server if tests.get(statement.id))
    return "\n".join(
        [
            f"## {title}",
            "",
            f"{source}: {len(rows)} statements. {count['tested']} are tested, {count['not testable']} cannot "
            f"be tested from outside a broker, {count['open']} are open. Of the {len(server)} that bind a "
            f"server {done} are tested.",
            "",
            "| Statement | Binds | In our words | Tests |",
            "| --- | --- | --- | --- |",
            *(row(statement, tests.get(statement.id, [])) for statement in rows),
        ]
    )


def document() -> str:
    """The whole text of `docs/conformance.md`."""
    return "\n".join([HEAD, *("\n".join([table(*version), ""]) for version in VERSIONS)])


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
