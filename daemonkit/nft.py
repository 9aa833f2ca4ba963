"""Scripts for nft, which changes the kernel's packet rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NFT_SECONDS = 10.0
_CAP_NET_ADMIN = 12
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def missing() -> str:
    """Return what this process lacks to change the kernel's rules, empty if nothing."""
    if shutil.which("nft", path=_PATH) is None:
        return "the program nft (Debian's package nftables)"
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    rights = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return "" if rights >> _CAP_NET_ADMIN & 1 else "the capability CAP_NET_ADMIN"


def run_nft(script: str) -> str:
    """Run a script by nft, all of it or nothing. Returns nft's error, empty if there is none."""
    try:
        ran = subprocess.run(
            ["nft", "-f", "-"], input=script, env={"PATH": _PATH}, capture_output=True, text=True, timeout=NFT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nft: {error}"
    return (ran.stderr.strip() or f"nft ended with {ran.returncode}") if ran.returncode else ""
