"""The lists of statements, the tests that name them, and the table in the docs agree."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from .coverage import covered, statements
from .make_table import DOCUMENT, document

VERSIONS = pytest.mark.parametrize("version, decorator", [("5", "covers"), ("311", "covers_311")])


@VERSIONS
def test_tests_name_statements_that_exist(version: str, decorator: str) -> None:
    assert set(covered(decorator)) - {statement.id for statement in statements(version)} == set()


@VERSIONS
def test_every_testable_statement_is_tested(version: str, decorator: str) -> None:
    tested = covered(decorator)
    assert [s.id for s in statements(version) if s.testable and s.id not in tested] == []


@VERSIONS
def test_no_test_claims_what_cannot_be_tested(version: str, decorator: str) -> None:
    tested = covered(decorator)
    assert [s.id for s in statements(version) if not s.testable and s.id in tested] == []


@VERSIONS
def test_lists_are_well_formed(version: str, decorator: str) -> None:
    rows = statements(version)
    assert [s.id for s in rows if not re.fullmatch(r"MQTT-\d\.\d+\.\d+-\d+", s.id)] == []
    assert len({s.id for s in rows}) == len(rows)
    assert {s.binds for s in rows} <= {"client", "server", "both", "either"}
    assert [s.id for s in rows if not s.paraphrase or (not s.testable and not s.note)] == []


def test_list_of_mqtt_5_is_complete() -> None:
    """Appendix B of MQTT 5.0 has this many statements in each chapter."""
    chapters = Counter(statement.id.split("-")[1].split(".")[0] for statement in statements("5"))
    assert chapters == {"1": 5, "2": 7, "3": 175, "4": 60, "6": 4}


def test_document_is_in_step() -> None:
    told = DOCUMENT.read_text(encoding="utf-8")
    assert told == document(), "run: python -m tests.conformance.make_table"
