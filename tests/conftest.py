"""What all tests share: programs from elsewhere, and a loud word about those that are missing."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.peers import missing_peers

# No test asserts a time: a busy machine may need long for an example. All else stays as it is here, or in CI.
settings.register_profile("any machine", settings(), deadline=None)
settings.load_profile("any machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing_peers:
        names = ", ".join(sorted(missing_peers))
        terminalreporter.write_sep("=", f"SKIPPED for want of: {names}", red=True, bold=True)
