"""The peer: Kamailio with digest from PostgreSQL and accounting into it, and rtpengine in userspace."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bench.signalling.ports import free_ports
from bench.signalling.postgres import Postgres
from bench.signalling.processes import Program
from bench.signalling.stack import PEER_ADDRESS, REALM, SIPP_ADDRESS, Caller

CONFIGURATION = Path(__file__).with_name("kamailio.cfg")
SCHEMAS = Path("/usr/share/kamailio/postgres")
DATABASE = "kamailio"
USER, PASSWORD = "peer", "benchPeerPassword0123"
# The columns that Debian's own configuration adds.
EXTRA = ("src_user", "src_domain", "src_ip", "dst_ouser", "dst_user", "dst_domain")
START_SECONDS = 20
SHARED_MIB = 512


class Kamailio:
    """Kamailio and rtpengine, running."""

    name = "peer"
    database = DATABASE

    def __init__(self, postgres: Postgres, kamailio: Program, rtpengine: Program, caller: Caller) -> None:
        self._postgres = postgres
        self._kamailio = kamailio
        self._rtpengine = rtpengine
        self.caller = caller

    def parts(self) -> dict[str, int]:
        """Return the process trees of both daemons."""
        return {"kamailio": self._kamailio.pid, "rtpengine": self._rtpengine.pid}

    def rows(self) -> int:
        """Return the accounted calls."""
        return self._postgres.count(DATABASE, "acc")


@contextmanager
def kamailio(postgres: Postgres, directory: Path, *, workers: int) -> Iterator[Kamailio]:
    """Run the peer on ports of its own; `workers` is Kamailio's number of processes for its socket."""
    directory.mkdir()
    sip, ng, callee = free_ports(3)
    database = _database(postgres)
    (directory / "targets").write_text(f"1 sip:{SIPP_ADDRESS}:{callee}\n")
    defines = {
        "SIP_SOCKET": f"udp:{PEER_ADDRESS}:{sip}",
        "NG_SOCKET": f'"udp:{PEER_ADDRESS}:{ng}"',
        "DATABASE": f'"{database}"',
        "REALM": f'"{REALM}"',
        "TARGETS": f'"{directory / "targets"}"',
        "WORKERS": str(workers),
    }
    with ExitStack() as programs:
        relay = Program(_rtpengine(ng, directory), directory=directory, log="rtpengine.log")
        programs.callback(relay.stop)
        # Kamailio disables a relay that does not answer at its start.
        _wait_for_answer((PEER_ADDRESS, ng), b"0 d7:command4:pinge", relay)
        proxy = Program(_kamailio(defines, directory), directory=directory, log="kamailio.log")
        programs.callback(proxy.stop)
        _wait_for_answer((PEER_ADDRESS, sip), _options(sip), proxy)
        yield Kamailio(postgres, proxy, relay, Caller((PEER_ADDRESS, sip), f"sip:{USER}@{REALM}", USER, callee, PASSWORD))


def _database(postgres: Postgres) -> str:
    """Create the peer's database from the schema that its package ships, with the one user."""
    url = postgres.create(DATABASE)
    tables = [(SCHEMAS / f"{name}-create.sql").read_text() for name in ("standard", "acc", "auth_db")]
    ha1 = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
    columns = (f"ALTER TABLE acc ADD COLUMN {name} VARCHAR(128) NOT NULL DEFAULT ''" for name in EXTRA)
    user = f"INSERT INTO subscriber (username, domain, ha1) VALUES ('{USER}', '{REALM}', '{ha1}')"  # noqa: S608  # all of it is ours
    postgres.run(DATABASE, *tables, *columns, user)
    return url


def _kamailio(defines: dict[str, str], directory: Path) -> list[str]:
    names = [f"-A{name}={value}" for name, value in defines.items()]
    here = ["-f", str(CONFIGURATION), "-w", str(directory), "-Y", str(directory), "-P", str(directory / "kamailio.pid")]
    return ["kamailio", "-DD", "-E", "-m", str(SHARED_MIB), *here, *names]


def _rtpengine(ng: int, directory: Path) -> list[str]:
    # With the default delay of 30 s before a session is deleted, its ports would be the limit at high rates.
    return [
        *("rtpengine", "--foreground", "--log-stderr", "--log-level=4", "--table=-1", "--delete-delay=0"),
        *(f"--interface={PEER_ADDRESS}", f"--listen-ng={PEER_ADDRESS}:{ng}", "--port-min=30000", "--port-max=60000"),
        f"--pidfile={directory / 'rtpengine.pid'}",
    ]


def _options(port: int) -> bytes:
    lines = [
        f"OPTIONS sip:{PEER_ADDRESS}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {SIPP_ADDRESS}:9;branch=z9hG4bK-ready;rport",
        "From: <sip:bench@caller.example>;tag=1",
        f"To: <sip:{PEER_ADDRESS}>",
        "Call-ID: ready",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 10",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _wait_for_answer(address: tuple[str, int], question: bytes, program: Program) -> None:
    """Ask until the program answers; raises RuntimeError if it does not."""
    deadline = time.monotonic() + START_SECONDS
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asker:
        asker.bind((SIPP_ADDRESS, 0))
        asker.settimeout(0.2)
        while True:
            if not program.running() or time.monotonic() > deadline:
                raise RuntimeError(f"{program.log} tells why nothing answers at {address}:\n{program.log.read_text()[-2000:]}")
            try:
                asker.sendto(question, address)
                asker.recv(4096)
            except OSError:
                continue
            return
