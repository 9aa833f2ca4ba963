"""`python -m bench.speech`: what the first words of a natural sentence cost before a caller hears them.

piper is warm, and nothing is cached. Each sentence is new; its first clause is asked for as a call does, and the CPU time of piper's
process until the audio is there is taken, and the time on the wall.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from bench.program import say
from bench.signalling.figures import percentile
from bench.signalling.processes import trees
from callflow.aio.sounds.piper import Piper, find_piper
from callflow.aio.sounds.spool import Spool
from callflow.bxml.spoken import pieces

RESULT = Path(__file__).parent / "results" / "speech.json"
LIMIT_MS = 300.0
"""Of CPU time, until the first audio."""
SENTENCES = (
    "Thank you for calling the town library, your call is number {}, please stay on the line.",
    "Welcome back. You have {} new messages.",
    "For opening hours press {}; for renewals press the star key, or hold for somebody at the desk.",
    "Your balance is {} dollars and twelve cents as of this morning.",
)
TURNS = 40


async def measure(piper: Piper) -> dict[str, float]:
    """Have the first clause of each sentence spoken, and return the figures."""
    await piper.warm()
    spent, waited, seconds = [], [], []
    for number in range(TURNS):
        clause = next(piece for piece in pieces(SENTENCES[number % len(SENTENCES)].format(number + 20)) if isinstance(piece, str))
        cpu, began = _cpu(), time.monotonic()
        audio = await piper.speak(clause)
        waited.append(1000 * (time.monotonic() - began))
        spent.append(1000 * (_cpu() - cpu))
        seconds.append(len(audio) / 8_000)
    figures = {f"{name}_p{percent}_ms": percentile(of, percent) for name, of in (("cpu", spent), ("wall", waited)) for percent in (50, 95)}
    return {name: round(value, 1) for name, value in figures.items()} | {"first_clause_seconds": round(percentile(seconds, 50), 2)}


def _cpu() -> float:
    """Return the CPU time of all that we have started."""
    return sum(stat.cpu for stat in trees({"us": os.getpid()})["us"] if stat.pid != os.getpid())


async def run() -> dict[str, float]:
    """Start piper, measure it, end it."""
    with tempfile.TemporaryDirectory(prefix="sipuri-bench-") as directory:
        piper = find_piper(Spool(directory))
        if piper is None:
            raise SystemExit("piper is not installed: pip install 'sipuri[speech]'.")
        try:
            return await measure(piper)
        finally:
            await piper.close()


def main() -> int:
    """Measure, print and keep the figures; the exit code is 1 if the limit was missed."""
    ours = asyncio.run(run())
    found = {"bench": "speech", "ours": ours, "run": {"sentences": TURNS, "limit_cpu_ms": LIMIT_MS}, "machine": machine()}
    RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))
    return int(ours["cpu_p95_ms"] > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
