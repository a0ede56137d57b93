"""Running a submitted notebook again: a fresh kernel, limits, and the verdicts of its checks.

The limits stop accidents (an endless loop, all the memory). They are no prison: a notebook is a
program and runs with the rights of whoever runs it; submissions of strangers belong in a container.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mqttsec.check.report import Row
from mqttsec.check.verdict_log import log_to, read_log, read_seeds
from mqttsec.errors import ConfigurationError


class NotANotebook(ConfigurationError):
    """A file that is missing, cannot be read, or is no Jupyter notebook."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    cell_seconds: float = 60.0
    """A cell that takes longer is interrupted, and the next one runs."""
    total_seconds: float = 600.0
    """The whole notebook; what was checked until then counts."""
    memory_megabytes: int = 4096
    """Address space of the kernel."""
    file_megabytes: int = 100
    """The largest file it may write."""


@dataclass(frozen=True)
class Submission:
    """What came out of one notebook."""

    notebook: str
    """Its file name."""
    rows: tuple[tuple[str, Row], ...]
    """(lab, last verdict) per exercise, in the order of the lab."""
    problems: tuple[str, ...]
    """One line per cell that ended in an error, and why the run ended early, if it did."""
    finished: bool
    """Whether it ran to its last cell."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Lab to the seed that it was made with: a student's own variant (`mqttsec.check.seed_of`)."""


def rerun(path: str | Path, limits: Limits = Limits()) -> Submission:
    """Run the notebook from its first cell to its last in a fresh kernel and collect its verdicts.

    It runs in an empty folder of its own, which is removed afterwards; the file itself is not
    changed. Raises `NotANotebook` (a `ConfigurationError`) if the file is none, and `ConfigurationError`
    where Jupyter is not installed.
    """
    try:
        import nbformat
    except ImportError:
        raise ConfigurationError("running notebooks needs pip install 'mqttsec[labs]'") from None
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("nbformat") != 4:
            raise ValueError("its nbformat is not 4")
        nbformat.validate(raw)
    except OSError as error:
        raise NotANotebook(f"{source} cannot be read: {error.strerror or error}") from error
    except (ValueError, nbformat.ValidationError) as error:
        raise NotANotebook(f"{source} is no Jupyter notebook: {str(error)[:120]}") from error
    notebook = nbformat.reads(text, as_version=4)

    with tempfile.TemporaryDirectory(prefix="mqttsec-check-") as folder:
        room = Path(folder) / "room"
        room.mkdir()
        log = Path(folder) / "verdicts.jsonl"
        setup = nbformat.v4.new_code_cell(
            f"from mqttsec.check import submission; submission.begin({str(log)!r}, "
            f"{limits.memory_megabytes}, {limits.file_megabytes}); del submission"
        )
        notebook.cells.insert(0, setup)
        ended = asyncio.run(_execute(notebook, room, limits))
        rows = tuple((lab, row) for (lab, _), row in read_log(log).items())
        seeds = read_seeds(log)
    problems = _cell_errors(notebook)
    if ended:
        problems.append(ended)
    return Submission(source.name, rows, tuple(problems), not ended, seeds)


def begin(log: str, memory_megabytes: int, file_megabytes: int) -> None:
    """The first thing in the kernel of a submission: write verdicts down, and limit what it may use."""
    log_to(log)
    try:
        import resource
    except ImportError:
        # Not on Windows; the limits on time hold there all the same.
        return
    megabyte = 1 << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory_megabytes * megabyte,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_megabytes * megabyte,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def _execute(notebook: Any, room: Path, limits: Limits) -> str:
    """Run the cells; the result says why it ended early, and is empty if it did not."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    # The manager is ours, not the client's: a client that is cancelled leaves its own kernel running.
    manager = AsyncKernelManager(kernel_name="python3")
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=limits.cell_seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(room)}},
        # Else each kernel warns on our standard error that it listens on loopback without encryption.
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    run = asyncio.ensure_future(client.async_execute())
    try:
        # Not wait_for: a client that is cancelled says that its kernel died.
        done, _ = await asyncio.wait({run}, timeout=limits.total_seconds)
        if not done:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            return f"stopped after {limits.total_seconds:g} s, the limit for a notebook"
        run.result()
    except DeadKernelError:
        return "the kernel died (out of memory, or ended by the notebook)"
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)
    return ""


def _cell_errors(notebook: Any) -> list[str]:
    """One line per cell that ended in an error; cells are counted from 1, as the reader sees them."""
    problems = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                value = " ".join(output.evalue.split())[:120]
                name = "interrupted: too slow" if output.ename == "KeyboardInterrupt" else output.ename
                problems.append(f"cell {number}: {name}{': ' + value if value else ''}")
    return problems
