"""A variant of every lab for every student: the name decides the seed, on every machine alike.

    lab = labs.Handshake(seed=check.seed_of("Ada Lovelace"))

Neighbours then have other keys, days and riddles, and a teacher who knows the names sees whose
variant a notebook is.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from mqttsec.errors import ConfigurationError

VARIANTS = 1_000_000
"""So many seeds; two of a class of thirty have the same one with a probability below 1 in 2,000."""


def seed_of(name: str) -> int:
    """The seed from 0 to 999,999 of a student's variant.

    Capitals and the number of spaces make no difference. Raises `ConfigurationError` for a name
    without a letter.
    """
    if not isinstance(name, str) or not any(letter.isalpha() for letter in name):
        raise ConfigurationError(f'{name!r} is no name: give seed_of("Ada Lovelace")')
    words = unicodedata.normalize("NFKC", name).casefold().split()
    digest = hashlib.sha256(" ".join(words).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % VARIANTS


def class_list(path: str | Path) -> dict[int, str]:
    """Seed to name, from a text file with a name a line; empty lines do not count.

    Raises `ConfigurationError` if it cannot be read, or if two names have the same seed.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the class list {path} cannot be read: {error}") from error
    return _by_seed(line.strip() for line in lines if line.strip())


def _by_seed(names: Iterable[str]) -> dict[int, str]:
    students: dict[int, str] = {}
    for name in names:
        other = students.setdefault(seed_of(name), name)
        if other != name:
            raise ConfigurationError(
                f"{name} and {other} have the same seed: write one of them in full, with a second name"
            )
    return students
