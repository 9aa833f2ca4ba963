"""A PostgreSQL cluster of the bench's own, with one database for each stack and Debian's settings for all of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType

import psycopg

from bench.signalling.ports import free_ports

USER = "sipuri"


def database_of(command: str) -> str:
    """Return the database that a process of the cluster works for, by its title; empty for those that serve all.

    Titles are `postgres: USER DATABASE ADDRESS STATE` and `postgres: autovacuum worker DATABASE`.
    """
    match command.split():
        case ["postgres:", name, database, *_] if name == USER:
            return database
        case ["postgres:", "autovacuum", "worker", database, *_]:
            return database
    return ""


class Postgres:
    """Runs within a `with` block; its data are removed with it."""

    def __init__(self) -> None:
        # PostgreSQL refuses to run as root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1].parent
        self._directory = Path()
        (self._port,) = free_ports(1, socket.SOCK_STREAM)

    def __enter__(self) -> Postgres:
        self._directory = Path(self._run("mktemp", "-d", "/tmp/sipuri-bench-pg-XXXXXX").strip())  # noqa: S108  # mktemp makes it safely
        try:
            self._run(str(self._binaries / "initdb"), "-D", str(self._data), "-U", USER, "--auth=trust")
            settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": self._directory}
            options = " ".join(f"-c {name}={value}" for name, value in settings.items())
            self._control("-w", "-l", str(self._directory / "log"), "-o", options, "start")
        except BaseException:
            shutil.rmtree(self._directory)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._control("-w", "-m", "immediate", "stop")
        shutil.rmtree(self._directory)

    @property
    def pid(self) -> int:
        """The process that all others of the cluster descend from."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def create(self, database: str) -> str:
        """Create a database and return its URL."""
        self.run("postgres", f"CREATE DATABASE {database}")
        return self._url(database)

    def run(self, database: str, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(self._url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def count(self, database: str, table: str) -> int:
        """Return how many rows a table has."""
        with psycopg.connect(self._url(database)) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608  # the bench names its tables itself
        return int(row[0]) if row else 0

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _url(self, database: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self._port}/{database}"

    def _control(self, *arguments: str) -> None:
        # pg_ctl's child keeps what it inherits: a pipe here would never end.
        command = [*self._user, str(self._binaries / "pg_ctl"), "-D", str(self._data), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _run(self, *command: str) -> str:
        return subprocess.run([*self._user, *command], check=True, capture_output=True, text=True, cwd="/").stdout
