"""Kamailio as a test's session border controller, in front of the proxy or behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.fleet import Fleet, free_ports, until
from tests.support.sipp import is_open

CONFIG = Path(__file__).parents[1] / "data" / "kamailio" / "sbc.cfg"

# `make test` has nine minutes: it tries one or two transports for what all have in common, `make peers` tries all.
EVERY_TRANSPORT = "SIPURI_EVERY_TRANSPORT" in os.environ


@dataclass(frozen=True)
class Sbc:
    """A running Kamailio."""

    front: tuple[str, int]
    """The address that callers use; its calls go on to the proxy."""
    behind: tuple[str, int]
    """The address that a proxy has as its target; its calls go on to the callee."""
    log: Path


def proxy_address(fleet: Fleet, transport: str) -> tuple[str, int]:
    """Return where a proxy takes a transport's connections or datagrams."""
    host, _, port = fleet.env["SIPURI_SIP_TLS_BIND" if transport == "tls" else "SIPURI_SIP_BIND"].rpartition(":")
    return host, int(port)


@dataclass(frozen=True)
class Certificate:
    """Two PEM files; Kamailio presents the same certificate as the proxy and verifies none."""

    certificate: Path
    key: Path


def make_certificate(directory: Path, name: str = "127.0.0.1") -> Certificate:
    """Make a key and a self-signed certificate, valid for a day."""
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    command = ["openssl", "req", "-x509", *kind, *names, "-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def tls_environment(certificate: Certificate) -> dict[str, str]:
    """Return the settings that let a proxy speak TLS on a port of its own."""
    return {
        "SIPURI_SIP_TLS_BIND": f"127.0.0.1:{free_ports(1)[0]}",
        "SIPURI_SIP_TLS_CERT": str(certificate.certificate),
        "SIPURI_SIP_TLS_KEY": str(certificate.key),
    }


@contextmanager
def kamailio(  # noqa: PLR0913  # the neighbours, each by its name
    directory: Path,
    *,
    proxy: tuple[str, int],
    callee: int = 9,
    behind: int = 0,
    transport: str = "udp",
    certificate: Certificate | None = None,
    hides_topology: bool = False,
) -> Iterator[Sbc]:
    """Run Kamailio between callers and `proxy`, to which it speaks `transport`, and between a proxy and the callee's port.

    `behind` is its port for the latter, if that has to be known before; `certificate` is needed for TLS. With `hides_topology` each side
    sees Kamailio's own Via, routes and Contact alone.
    """
    program = shutil.which("kamailio")
    assert program is not None, "This test needs a Debian package: apt-get install --no-install-recommends kamailio"
    front, free, tls = free_ports(3)
    sbc = Sbc(("127.0.0.1", front), ("127.0.0.1", behind or free), directory / "kamailio.log")
    defines = [f"FRONT={front}", f"BEHIND={sbc.behind[1]}", f'CALLEE="sip:127.0.0.1:{callee}"']
    defines.append(f'PROXY="sip:{proxy[0]}:{proxy[1]};transport={transport}"')
    defines += [] if transport == "udp" else ["WITH_TCP"]
    defines += ["WITH_HIDING"] if hides_topology else []
    if certificate is not None:
        defines += ["WITH_TLS", f"TLS_PORT={tls}", f'CERTIFICATE="{certificate.certificate}"', f'KEY="{certificate.key}"']
    # -DD: in the foreground; -E: log to stderr. Little memory, so that it starts quickly.
    command = [program, "-f", str(CONFIG), "-DD", "-E", "-m", "24", "-M", "8", "-Y", str(directory), "-w", str(directory)]
    with sbc.log.open("wb") as log:
        process = subprocess.Popen([*command, *(f"-A{define}" for define in defines)], cwd=directory, stdout=log, stderr=log)
    try:
        until(lambda: _is_up(process, sbc), seconds=15, what=f"Kamailio, see {sbc.log}", every=0.02)
        yield sbc
    finally:
        process.terminate()
        process.wait(15)


def _is_up(process: subprocess.Popen[bytes], sbc: Sbc) -> bool:
    assert process.poll() is None, sbc.log.read_text(errors="replace")[-3000:]
    return is_open(sbc.front[1]) and is_open(sbc.behind[1])
