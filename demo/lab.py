"""The system under the tour: its environment, its database and all its roles on loopback."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import django
from django.core.management import call_command

from daemonkit.orphans import command_that_ends_with_us

START_SECONDS = 60.0
STOP_SECONDS = 60.0

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
    # On one machine, callers, backend and media all live on loopback, which the production defaults refuse.
    "SIPURI_SIP_BIND": "127.0.0.1:6160",
    "SIPURI_REGION_OVERRIDES": "127.0.0.0/8=US",
    "SIPURI_MEDIA_ALLOW_PRIVATE": "true",
    "SIPURI_WEBHOOK_ALLOW_PRIVATE": "true",
}


class LabError(Exception):
    """The tour cannot go on; the text is the reason."""


class Lab:
    """Starts every role, knows the secrets, stops every role."""

    account = "9900000"
    client_id = "demo-client"

    def __init__(self) -> None:
        self.client_secret = secrets.token_hex(16)
        self.admin_password = secrets.token_hex(6)
        self.log_path = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Set the environment, migrate the database, make account, client and operator."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        django.setup()
        call_command("migrate", verbosity=0)
        call_command(
            "bootstrap",
            account=self.account,
            client_id=self.client_id,
            client_secret=self.client_secret,
            admin_password=self.admin_password,
            stdout=open(os.devnull, "w", encoding="ascii"),  # noqa: SIM115  # it lives as long as the command
        )

    def start(self) -> None:
        """Start every role and wait until each is healthy; raises LabError with the last output of one that is not."""
        from django.conf import settings  # noqa: PLC0415  # it exists only now

        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = self.state_dir / "roles.log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command_that_ends_with_us(signal.SIGTERM, (sys.executable, "manage.py", "runall")),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=settings.BASE_DIR,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy(f"{settings.PUBLIC_URL}/healthz"):
            if self._process.poll() is not None:
                raise LabError(f"The roles did not start:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise LabError(f"Not every role was ready after {START_SECONDS:.0f} s; see {self.log_path}.")
            time.sleep(0.2)

    def stop(self) -> None:
        """Drain every role."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    @property
    def state_dir(self) -> Path:
        """The directory with what the tour has produced."""
        from django.conf import settings  # noqa: PLC0415  # it exists only now

        directory: Path = settings.VAR_DIR / "demo"
        return directory

    def _healthy(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own http URL
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def _last_words(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(line for line in lines[-8:] if line.strip())
