"""Place a call with our own phone."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import sys
import tempfile
import time
import wave
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from callflow.aio.phone import RATE, CallFailed, Phone, PhoneCall
from callflow.aio.sounds.fetcher import decoded_sound
from callflow.aio.sounds.spool import NoRoomError, Spool
from callflow.audio.sound_error import SoundError
from daemonkit.sockets import AddressUnavailable
from mediarelay.rtp.g711 import pcm16_to_ulaw, ulaw_to_pcm16

PROMPT_OVER_SECONDS = 0.7
"""Silence after which a prompt counts as over, so that the far end listens."""
TONE_LEVEL = 8_000


class Command(BaseCommand):
    """Call a SIP URI, do what the options say, and stay until somebody hangs up."""

    requires_system_checks = ()
    help = "Calls a SIP URI: prints the SIP ladder and RTP figures; exit code 0 when the call was answered and ended well."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's options."""
        parser.add_argument("uri", help="sip:user@domain")
        parser.add_argument("--proxy", required=True, help="host:port to send the call to")
        parser.add_argument("--user", default="", help="digest user name")
        parser.add_argument("--password", default="", help="digest password")
        parser.add_argument("--realm", default=None, help="the only realm that may challenge us; default: the URI's host")
        parser.add_argument("--local-host", default="127.0.0.1", help="our own address")
        parser.add_argument("--digits", default="", help="digits to send when the first prompt is over; , is a pause")
        parser.add_argument("--tone", default="", help="HERTZ:SECONDS to send after the digits")
        parser.add_argument("--play", default="", help="a wav file to send after the digits")
        parser.add_argument("--save", default="", help="where to write what was heard, as wav")
        parser.add_argument("--max-seconds", type=float, default=120.0, help="hang up after this long")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: object, **options: Any) -> None:
        """Place the call and print how it went."""
        sound = _sound(options["tone"], options["play"])
        try:
            result = asyncio.run(self._call(options, sound))
        except (AddressUnavailable, CallFailed) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(result))
        if result["ended_by"] == "time-out":
            raise CommandError(f"The call was still up after {options['max_seconds']:g} s and was hung up.")
        sys.exit(0)

    async def _call(self, options: dict[str, Any], sound: bytes) -> dict[str, Any]:
        ladder: list[tuple[float, str, str]] = []

        def on_message(at: float, direction: str, line: str) -> None:
            ladder.append((round(at, 3), direction, line))
            self._say(options, f"{at:8.3f}  {'-->' if direction == 'out' else '<--'}  {line}")

        phone = Phone(proxy=_address(options["proxy"]), local_host=options["local_host"], on_message=on_message)
        await phone.open()
        try:
            call = await phone.call(options["uri"], username=options["user"], password=options["password"], realm=options["realm"])
            started = time.monotonic()
            ended_by = await _converse(call, options["digits"], sound, options["max_seconds"])
            result = _figures(call, ended_by, time.monotonic() - started)
        finally:
            await phone.close()
        if options["save"]:
            await asyncio.to_thread(_save, Path(options["save"]), bytes(call.heard))
        self._say(options, _summary(result))
        return {**result, "ladder": ladder}

    def _say(self, options: dict[str, Any], text: str) -> None:
        if not options["json"]:
            self.stdout.write(text)


async def _converse(call: PhoneCall, digits: str, sound: bytes, max_seconds: float) -> str:
    """Send what the options ask for, wait for the end, and return who ended the call."""
    try:
        async with asyncio.timeout(max_seconds):
            if digits:
                await call.wait_silence(PROMPT_OVER_SECONDS, max_seconds)
                await call.send_digits(digits)
            if sound:
                await call.wait_silence(PROMPT_OVER_SECONDS, max_seconds)
                await call.play(sound)
            return await call.wait_ended(max_seconds)
    except TimeoutError:
        await call.hang_up()
        return "time-out"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise CommandError(f"--proxy must be host:port, not {text!r}.")
    return host, int(port)


def _figures(call: PhoneCall, ended_by: str, seconds: float) -> dict[str, Any]:
    session = call.session
    return {
        "status": call.status,
        "ended_by": ended_by,
        "seconds": round(seconds, 3),
        "heard_seconds": round(call.heard_seconds, 3),
        "rtp_sent": session.packets_sent if session else 0,
        "rtp_received": session.packets_received if session else 0,
        "rtp_lost": session.lost if session else 0,
        "jitter_ms": round(session.jitter_ms, 2) if session else 0.0,
    }


def _save(path: Path, ulaw: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(ulaw_to_pcm16(ulaw))


def _sound(tone: str, play: str) -> bytes:
    """Return the µ-law audio that the options ask for."""
    sound = b""
    if tone:
        try:
            hertz, seconds = (float(part) for part in tone.split(":"))
        except ValueError:
            raise CommandError(f"--tone must be HERTZ:SECONDS, not {tone!r}.") from None
        sound += _tone(hertz, seconds)
    if play:
        try:
            spool = Spool(tempfile.gettempdir())
            file = spool.new()
            file.append(Path(play).read_bytes())
            sound += decoded_sound(file, spool)[:]
        except (OSError, SoundError, NoRoomError) as error:
            raise CommandError(f"{play} cannot be played. {error}") from error
    return sound


def _summary(result: dict[str, Any]) -> str:
    return (
        f"answered {result['status']}, ended by {result['ended_by']} after {result['seconds']:.1f} s; "
        f"heard {result['heard_seconds']:.1f} s; RTP sent {result['rtp_sent']}, received {result['rtp_received']}, "
        f"lost {result['rtp_lost']}, jitter {result['jitter_ms']:.1f} ms"
    )


def _tone(hertz: float, seconds: float) -> bytes:
    step = 2 * math.pi * hertz / RATE
    samples = (round(TONE_LEVEL * math.sin(step * number)) for number in range(int(seconds * RATE)))
    return pcm16_to_ulaw(b"".join(struct.pack("=h", sample) for sample in samples))
