"""Wire samples, their table of verdicts, and small builders for the grammar's tests.

`tests/data/wire/index.tsv` has one row for each file: how the parser reads it (`ok` or the status of the refusal), what a
proxy answers that knows one application with a password (a status, or `silence`), and fields by their names in tshark,
several values joined by `|`. `NAME_broken.sip` differs from `NAME.sip` in one place.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).parents[2] / "data" / "wire"
OK, SILENCE = "ok", "silence"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is expected of one file."""

    file: str
    parse: str
    answer: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        return self.file.endswith("_broken.sip")


def verdicts() -> list[Verdict]:
    with (DATA / "index.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Verdict(row["file"], row["parse"], row["answer"], json.loads(row["fields"] or "{}")) for row in rows]


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def invite_with(*, drop: str = "", add: bytes = b"", **changes: str) -> bytes:
    """Return the plain INVITE with header values changed (`call_id="x"`), one line dropped or lines added."""
    head, _, body = sample("invite.sip").partition(b"\r\n\r\n")
    lines = []
    for line in head.split(b"\r\n"):
        name = line.partition(b":")[0].decode()
        if name == drop:
            continue
        value = changes.get(name.lower().replace("-", "_"))
        lines.append(line if value is None else f"{name}: {value}".encode())
    return b"\r\n".join(lines) + b"\r\n" + add + b"\r\n" + body
