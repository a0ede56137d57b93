"""Faults of parts that are not the broker's own: plugins, authentication methods, channels.

Such a fault may cost the client whose part it is, never another one and never the broker. What it was
about to decide counts as refused.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def report_fault(what: str, client_id: str | None, error: Exception) -> None:
    """Say in the log that `what` failed. Not with which words: they might hold secrets (they go to DEBUG)."""
    _log.error("%s failed for client %r: %s", what, client_id, type(error).__name__)
    _log.debug("how %s failed", what, exc_info=error)
