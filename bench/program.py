"""What the programs of the benches have in common: their output, and the folder of their logs."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path


def say(text: str) -> None:
    """Print progress for the person who waits, or print a result."""
    print(text, flush=True)  # noqa: T201  # it is the programs' output


def place_for_logs(running: ExitStack, kept: Path | None, prefix: str) -> Path:
    """Return a new directory; it is removed when the run ends, unless it is inside the one to keep."""
    if kept is None:
        return Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sipuri-bench-")))
    kept.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=kept))
