"""CPU time and memory of process trees, from /proc, and programs that end with the bench."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process: `cpu` in seconds, user and system, with its ended children's."""

    pid: int
    parent: int
    cpu: float

    @classmethod
    def parse(cls, text: str) -> ProcessStat:
        """Read a line of /proc/PID/stat (proc(5)); the name in it may contain blanks and brackets."""
        pid, _, rest = text.partition(" (")
        fields = rest.rpartition(") ")[2].split()
        return cls(int(pid), int(fields[1]), sum(map(int, fields[11:15])) / TICKS)


def processes() -> dict[int, ProcessStat]:
    """Return every process of the machine."""
    found = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            stat = ProcessStat.parse(path.read_text(errors="replace"))
        except OSError:
            continue  # It has ended meanwhile.
        found[stat.pid] = stat
    return found


def tree(root: int, table: Mapping[int, ProcessStat]) -> Iterator[ProcessStat]:
    """Yield a process and all its descendants."""
    if root in table:
        yield table[root]
    for stat in table.values():
        if stat.parent == root:
            yield from tree(stat.pid, table)


def trees(roots: Mapping[str, int]) -> dict[str, list[ProcessStat]]:
    """Return the processes of each tree."""
    table = processes()
    return {name: list(tree(root, table)) for name, root in roots.items()}


def command(pid: int) -> str:
    """Return a process's command line, empty if it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def memory_mib(pids: Iterable[int]) -> float:
    """Return the memory in MiB, shared pages counted once (PSS); RSS if PSS may not be read."""
    return sum(map(_memory_kib, pids)) / 1024


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process in KiB, shared pages included; 0 if it has ended."""
    return _read_kib(pid, "status", "VmRSS:") or 0


def _memory_kib(pid: int) -> int:
    return _read_kib(pid, "smaps_rollup", "Pss:") or resident_kib(pid)


def _read_kib(pid: int, name: str, field: str) -> int | None:
    """Return one field of a file in /proc, None if it may not be read or the process has ended."""
    try:
        lines = (PROC / str(pid) / name).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), None)


class Program:
    """A started program in a session of its own; `stop` ends it and its descendants."""

    def __init__(self, command: Sequence[str], *, directory: Path, log: str) -> None:
        with (directory / log).open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self.pid = self._process.pid
        self.log = directory / log

    def running(self) -> bool:
        """Return whether it has not ended by itself."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Return whether it ends within a number of seconds."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, sent: signal.Signals = signal.SIGTERM, *, patience: float = 10) -> None:
        """Ask it to end; after `patience` seconds its whole session is killed."""
        if self.running():
            self._process.send_signal(sent)
        if not self.wait(patience):
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
