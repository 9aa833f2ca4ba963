"""The README's first call, copied out of it and run: only the ports and the file that is written are the test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fleet import ROOT, Fleet, free_ports, until

LAB = ("SIPURI_MEDIA_ALLOW_PRIVATE", "SIPURI_WEBHOOK_ALLOW_PRIVATE", "SIPURI_REGION_OVERRIDES")


def blocks() -> list[str]:
    """Return the commands of each terminal."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your first call\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@contextmanager
def terminal(commands: str, log: Path, environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Type commands into a shell that stays open, and return what shows its output so far; it ends by Ctrl-C."""
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["sh", "-ec", commands],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Who runs the tests in the background has them ignore Ctrl-C, and so would these.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield lambda: log.read_text(encoding="utf-8", errors="replace")
    finally:
        os.killpg(shell.pid, signal.SIGINT)
        try:
            shell.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise


@pytest.mark.timeout(240)
def test_the_first_call_works_as_it_is_written(make_fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    fleet = make_fleet()
    (port,) = free_ports(1)
    own = {"127.0.0.1:8000": fleet.env["SIPURI_HTTP_BIND"], "127.0.0.1:6160": fleet.env["SIPURI_SIP_BIND"], ":8089": f":{port}"}
    own |= {"demo.serve": f"demo.serve --port {port}", "heard.wav": str(tmp_path / "heard.wav")}
    first, second, third = (re.sub("|".join(map(re.escape, own)), lambda found: own[found[0]], block) for block in blocks())
    # Django's settings are found, and the lab's variables set, by the commands alone.
    environment = {name: value for name, value in fleet.env.items() if name not in (*LAB, "DJANGO_SETTINGS_MODULE")}
    with terminal(first, tmp_path / "up.log", environment) as up, terminal(second, tmp_path / "serve.log", environment) as serve:
        until(lambda: "sipuri is ready: " in up(), seconds=90, what="the line that says ready", every=0.3)
        until(lambda: "The backend answers at " in serve(), seconds=20, what="the backend")
        ran = subprocess.run(["sh", "-ec", third], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr + up()
        until(lambda: "disconnect (signature verified), answered with 204" in serve(), seconds=10, what="the last webhook")
    assert "initiate (signature verified), answered with 200" in serve()
    assert "recordComplete (signature verified)" in serve()
    assert (tmp_path / "heard.wav").stat().st_size > 16_000
    (ready,) = [line for line in up().splitlines() if line.startswith("sipuri is ready: ")]
    assert f"console {fleet.http}/console/, API {fleet.http}/docs/api, SIP on " in ready
    assert "superuser" not in up()
    assert "Traceback" not in up() + serve() + ran.stdout + ran.stderr
