"""What is logged at which level, and what a call's lines have in common; each case in a process of its own, as logging is global."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import logging, sys, structlog
from sipuri_project.logging import configure
configure({"json": True, "level": sys.argv[1]})
log = structlog.get_logger("sipproxy")
with structlog.contextvars.bound_contextvars(call_id="c-1"):
    log.debug("decided")
    log.info("ended")
logging.getLogger("asyncio").debug("selector")
logging.getLogger("oauthlib").info("token")
logging.getLogger("celery.beat").info("Sending due task")
logging.getLogger("daemon").debug("detail")
"""

FLOOD = """
import logging, sys
from sipuri_project.logging import configure
configure({"json": True, "level": "info"})
for number in range(20):
    logging.getLogger("flood").info("%d %s", number, "x" * 1_000_000)
print("went on", flush=True)
sys.stdin.readline()
logging.getLogger("flood").info("the end")
"""


def lines(level: str) -> list[dict[str, Any]]:
    run = subprocess.run([sys.executable, "-c", SCRIPT, level], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stderr.splitlines()]


def test_the_level_decides_what_is_written() -> None:
    assert [line["event"] for line in lines("debug")] == ["decided", "ended", "detail"]
    assert [line["event"] for line in lines("info")] == ["ended"]
    assert lines("warning") == []


def test_what_is_bound_to_a_call_stands_in_each_of_its_lines() -> None:
    assert [line.get("call_id") for line in lines("debug")] == ["c-1", "c-1", None]


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """Lines of a megabyte, too: what waits of them is bounded, and the rest is counted."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as flood:
        assert flood.stdin and flood.stdout and flood.stderr
        assert flood.stdout.readline() == "went on\n"
        shown = [flood.stderr.readline()]
        while len(shown) < 4:
            shown.append(flood.stderr.readline())
        flood.stdin.write("\n")
        flood.stdin.close()
        shown += flood.stderr.readlines()
    assert [json.loads(line)["event"].split()[0] for line in shown[:4]] == ["0", "1", "2", "3"]
    assert shown[4] == "(16 lines are left out: nobody read them)\n"
    assert json.loads(shown[5])["event"] == "the end"
