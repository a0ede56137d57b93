"""Names that other tools take: letters, digits and underscores."""

from __future__ import annotations

import re


def word(name: str) -> str:
    """`T_P'` as `T_P2`, `Sig_P:c1` as `Sig_P_c1`, `hardened` as it is."""
    return re.sub(r"\W", "_", name.replace("'", "2"))
