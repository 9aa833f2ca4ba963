"""A process that fetches sounds as calls do, plays them to 500 calls, and says by how much that made it grow.

python -m tests.unit.callflow.players <URL> <downloads> <folder>
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from callflow.aio.sounds.fetcher import SoundFetcher
from callflow.aio.sounds.spool import Spool, Spooled
from callflow.audio.agreement import Agreement, Codec
from callflow.audio.session import AudioSession
from callflow.engine.effects import AudioWanted
from voiceapps.daemon.outbound import WebhookClient

CALLS = 500
PLAYED_SECONDS = 1.0
FRAME_SECONDS = 0.02


def status(name: str) -> int:
    """Return a figure of this process in octets: VmRSS is what it has, VmHWM the most that it ever had."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def play(sounds: list[Spooled]) -> int:
    """Play to all calls at once and return the packets that left."""
    sessions = []
    for number in range(CALLS):
        session = AudioSession(Agreement(("127.0.0.1", 4_000), Codec.PCMU, 0, None, True), ssrc=number, sequence=0, timestamp=0)
        session.start(0.0)
        session.play(sounds[number % len(sounds)])
        sessions.append(session)
    for slot in range(round(PLAYED_SECONDS / FRAME_SECONDS)):
        for session in sessions:
            session.handle_timer(slot * FRAME_SECONDS)
            session.datagrams_to_send()
    return sum(session.packets_sent for session in sessions)


async def main(url: str, downloads: int, folder: str) -> None:
    """Print the growth in octets, the sounds that are told apart, and the packets that were sent."""
    client = WebhookClient(allow_private=True, signing_key=b"k" * 32)
    fetcher = SoundFetcher(client, Spool(folder))
    before = status("VmRSS")
    wanted = AudioWanted(1, url, "", "", 600.0)
    sounds = await asyncio.gather(*(fetcher.fetch(wanted, account_id="1") for _ in range(downloads)))
    packets = play(sounds)
    print(status("VmHWM") - before, len(set(map(id, sounds))), packets)
    fetcher.close()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
