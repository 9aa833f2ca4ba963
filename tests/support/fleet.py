"""The real system on loopback: every role as its own process, on ports of its own, in a directory of its own."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tests.support.interpreter import Interpreter

ROOT = Path(__file__).parents[2]
ACCOUNT = "9900000"
CLIENT = "fleet-client"
START_SECONDS = 60
SECRET = secrets.token_hex(16)
BOOTSTRAP = (
    *("bootstrap", "--account", ACCOUNT, "--client-id", CLIENT, "--client-secret", SECRET, "--admin-password", "operator"),
    # Benches, scenarios and peers call more often than a new account may.
    *("--max-calls", "none", "--max-calls-per-second", "none"),
)
T = TypeVar("T")


# Below the ports that the system assigns itself, each test worker has a range of its own: a free port stays free until it is used.
# The ports beside each are left to programs such as sipp that take neighbours without being told.
FIRST_PORT, PORTS_EACH = 10_000, 4_000
_ports = itertools.cycle(range(0, PORTS_EACH, 8))


def free_ports(count: int) -> list[int]:
    """Return free ports that no other test worker will take."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = (FIRST_PORT + worker % 5 * PORTS_EACH + offset for offset in _ports)
    return list(itertools.islice(filter(_is_free, ports), count))


def _is_free(port: int) -> bool:
    """Return whether a port is free for UDP and for TCP: the proxy needs both."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def until(condition: Callable[[], T | None], *, seconds: float, what: str, every: float = 0.05) -> T:
    """Return the condition's first true value; fails with `what` when time runs out."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:g} s: {what}")
        time.sleep(every)
    return value


def copy_state(directory: Path) -> None:
    """Give a directory a migrated and bootstrapped SQLite database and its keys."""
    shutil.copytree(_template(), directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("static"))


def link_pages(directory: Path) -> None:
    """Give it the static files of a web role: they are many and never change, so they are linked."""
    shutil.copytree(_template() / "static", directory / "static", dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> str:
    """Link a file, or copy it to another file system; one that is there already is the same."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:
        shutil.copy2(source, target)
    return target


@cache
def _template() -> Path:
    """Return a state directory that is migrated and bootstrapped: its keys and its database belong together."""
    state = Path(tempfile.mkdtemp(prefix="sipuri-template-"))
    maker = Fleet(state)
    maker.manage("migrate", "--verbosity", "0")
    maker.manage(*BOOTSTRAP)
    maker.python("from sipuri_project.start.static_files import gather\ngather()\nresult = None")
    maker.stop()
    atexit.register(shutil.rmtree, state)
    return state


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass
class Application:
    """An application as the API created it."""

    application_id: str
    sip_uri: str
    password: str

    @property
    def sip_user(self) -> str:
        return self.sip_uri.removeprefix("sip:").partition("@")[0]


@dataclass
class Fleet:
    """Starts the roles it is asked for; `environment` adds to or changes what they see."""

    state: Path
    roles: tuple[str, ...] = ("all",)
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    drain_seconds: float = 3
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        udp = free_ports(5)
        (http,) = free_ports(1)
        self.sip = ("127.0.0.1", udp[0])
        self.http = f"http://127.0.0.1:{http}"
        self.dns = ("127.0.0.1", udp[4])
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIPURI_")},
            "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
            "PYTHONUNBUFFERED": "1",
            "SIPURI_VAR_DIR": str(self.state),
            "SIPURI_HTTP_BIND": f"127.0.0.1:{http}",
            "SIPURI_SIP_BIND": f"127.0.0.1:{udp[0]}",
            "SIPURI_SIP_INTERNAL_BIND": f"127.0.0.1:{udp[1]}",
            "SIPURI_CALLFLOW_BIND": f"127.0.0.1:{udp[2]}",
            "SIPURI_NG_BIND": f"127.0.0.1:{udp[3]}",
            "SIPURI_MEDIA_RELAYS": f"udp:127.0.0.1:{udp[3]}",
            "SIPURI_DNS_BIND": f"127.0.0.1:{udp[4]}",
            "SIPURI_SPEECH": "espeak",
            "SIPURI_RECOGNITION": "off",
            "SIPURI_REGION_OVERRIDES": "127.0.0.0/8=US,10.0.0.0/8=US",
            "SIPURI_MEDIA_ALLOW_PRIVATE": "true",
            # Tests that kill processes would leave rules in this machine's kernel; tests of the kernel plane run in namespaces.
            "SIPURI_MEDIA_PLANE": "userspace",
            "SIPURI_WEBHOOK_ALLOW_PRIVATE": "true",
            **self.environment,
        }
        self._token = ""
        self._interpreter: Interpreter | None = None

    def start(self) -> None:
        """Migrate, bootstrap and start; returns when every role is there."""
        self.prepare()
        for role in self.roles:
            self.spawn(role)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return when every role that was started is there."""
        until(self._ready, seconds=START_SECONDS, what=f"all roles ready, see {self.state}", every=0.3)

    def prepare(self) -> None:
        """Create database, account, client and operator; on SQLite by copying one that was made once."""
        if "SIPURI_DATABASE_URL" in self.environment:
            self.manage("migrate", "--verbosity", "0")
            self.manage(*BOOTSTRAP)
        else:
            copy_state(self.state)
            link_pages(self.state)

    def spawn(self, role: str) -> None:
        """Start one role as a process."""
        command = ["manage.py", "runall", "--drain-seconds", str(self.drain_seconds)]
        if role == "web":
            command = ["-m", "gunicorn", "-c", "python:sipuri_project.web.gunicorn_config"]
        elif role == "worker":
            command = ["-m", "celery", "-A", "sipuri_project", "worker", "-B", "--concurrency", "1", "--loglevel", "WARNING"]
        elif role != "all":
            (self.metrics[role],) = free_ports(1)
            command = ["manage.py", f"run{role}", "--metrics-port", str(self.metrics[role]), "--drain-seconds", str(self.drain_seconds)]
        with open(self.state / f"{role}.log", "ab", opener=_for_us_alone) as log:
            self.processes[role] = subprocess.Popen(
                [*self.prefix, sys.executable, *command], cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> dict[str, int]:
        """Drain every role and return the exit codes."""
        self._close_interpreter()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {}
        for role, process in self.processes.items():
            try:
                codes[role] = process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                codes[role] = process.wait()
        self.processes.clear()
        return codes

    def manage(self, *arguments: str) -> str:
        """Run a management command and return its output."""
        ran = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def python(self, code: str) -> Any:
        """Run code beside the fleet's database; the code leaves its answer in `result`."""
        if self._interpreter is not None and self._interpreter.environment != self.env:
            self._close_interpreter()
        if self._interpreter is None:
            self._interpreter = Interpreter(ROOT, self.env)
        return self._interpreter.run(code)

    def api(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send one API request as the account's client."""
        if not self._token:
            form = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}".encode()
            self._token = self._http("POST", "/api/v1/oauth2/token", form, {})["access_token"]
        data = None if body is None else json.dumps(body).encode()
        return self._http(method, path, data, {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"})

    def application(self, *, callback: str = "http://127.0.0.1:9/", status: str | None = None, **sip: object) -> Application:
        """Create an application with a SIP URI."""
        body = {
            "applicationName": "Fleet",
            "callInitiatedCallbackUrl": callback,
            "callStatusCallbackUrl": status,
            "inboundSipCallsEnabled": True,
            **(sip or {"passwordAuthEnabled": True}),
        }
        data = self.api("POST", f"/v2/accounts/{ACCOUNT}/voice-applications", body)["data"]
        return Application(data["applicationId"], data["sipUri"], data.get("sipAuthPassword", ""))

    def gauge(self, role: str, name: str) -> float:
        """Return one metric of a daemon: the first of its name, or the one with the labels that stand behind it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics[role]}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                head = line.split(" ")[0]
                if name in {head, head.split("{")[0]}:
                    return float(line.rpartition(" ")[2])
        raise AssertionError(f"{role} has no metric {name}")

    def log(self, role: str = "all") -> str:
        """Return a role's log."""
        return (self.state / f"{role}.log").read_text(encoding="utf-8", errors="replace")

    def _close_interpreter(self) -> None:
        if self._interpreter is not None:
            self._interpreter.close()
            self._interpreter = None

    def _ready(self) -> bool:
        for role, process in self.processes.items():
            assert process.poll() is None, f"{role} ended:\n{self.log(role)[-3000:]}"
        if self.roles == ("all",):
            return self._status(f"{self.http}/healthz") == 200
        web = "web" not in self.roles or self._status(f"{self.http}/healthz") in {200, 503}
        return web and all(self._status(f"http://127.0.0.1:{port}/ready") == 200 for port in self.metrics.values())

    def _status(self, url: str) -> int:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _http(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(self.http + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: dict[str, Any] = json.load(answer)
            return body
