"""What all tests share: programs from elsewhere, and a loud word about those that are missing."""

from __future__ import annotations

import pytest

from tests.peers import missing_peers


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing_peers:
        names = ", ".join(sorted(missing_peers))
        terminalreporter.write_sep("=", f"SKIPPED for want of: {names}", red=True, bold=True)
