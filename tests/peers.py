"""Programs from elsewhere that tests talk to: found, or skipped with a loud reason, or required in CI."""

from __future__ import annotations

import os
import shutil

import pytest

missing_peers: set[str] = set()
"""The programs that a test of this run asked for in vain; the summary names them."""


def require_peer(program: str) -> str:
    """The path of a program such as `mosquitto`; without it the test is skipped, or fails where CI=true."""
    # Debian keeps daemons where an ordinary user's PATH does not look.
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if path is not None:
        return path
    missing_peers.add(program)
    reason = f"{program} is not installed (Debian: apt install {program}; make test does it where it can)"
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true requires it: {reason}")
    pytest.skip(reason)
