"""Write constraints.txt: the versions that everything was tested with, for every Python we support.

    python tools/pin.py python3.10 python3.11 python3.12 python3.13

Each interpreter resolves `.[labs,test,lite]` on its own (`pip install --dry-run`, nothing is installed);
the answers are merged, and a line gets an environment marker where the interpreters disagree.
The file names versions only: no addresses, no hashes, so that it works with any package index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Written by tools/pin.py from pyproject.toml; versions only, so that it works with any package index.
# Use: pip install -c constraints.txt -e ".[labs,test]"
"""
BUILD_TOOLS = ("hatchling",)


def resolve(interpreter: str) -> tuple[str, dict[str, str]]:
    """The Python version ("3.10") of an interpreter and the {package: version} that pip picks there."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        subprocess.run([interpreter, "-m", "venv", room / "venv"], check=True)
        python = room / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--dry-run", "--report", room / "report.json",
             f"{ROOT}[labs,test,lite]", *BUILD_TOOLS],
            check=True,
        )
        report = json.loads((room / "report.json").read_text())
    version: str = report["environment"]["python_version"]
    picked = {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"]
        for item in report["install"]
    }
    picked.pop("mqttsec", None)
    return version, picked


def merge(answers: Mapping[str, Mapping[str, str]]) -> str:
    """The text of a constraints file from {Python version: {package: version}}.

    A package that every Python has in one version gets a bare line; a version that is only right for
    some Pythons says for which.
    """
    pythons = sorted(answers, key=lambda version: tuple(map(int, version.split("."))))
    by_package: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for python in pythons:
        for package, version in answers[python].items():
            by_package[package][version].append(python)
    lines = []
    for package in sorted(by_package):
        versions = by_package[package]
        if len(versions) == 1:
            # A package that only some Pythons ask for does no harm on the others.
            lines.append(f"{package}=={next(iter(versions))}")
            continue
        for version, where in versions.items():
            marker = " or ".join(f'python_version == "{python}"' for python in where)
            lines.append(f"{package}=={version} ; {marker}")
    return HEADER + "\n".join(lines) + "\n"


def main(interpreters: Sequence[str]) -> int:
    if not interpreters:
        print(__doc__, file=sys.stderr)
        return 2
    answers = dict(resolve(interpreter) for interpreter in interpreters)
    (ROOT / "constraints.txt").write_text(merge(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
