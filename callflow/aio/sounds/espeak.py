"""Synthesise sentences by the program espeak-ng, which needs nothing and speaks every locale."""

from __future__ import annotations

import asyncio

from callflow.aio.sounds.convert import to_ulaw
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.aio.sounds.spool import Spool, Spooled
from callflow.audio.sound_error import SoundError
from callflow.audio.wav import Wav
from callflow.bxml.voices import Voice

PROGRAM = "espeak-ng"
MAX_SPEECH_SECONDS = 600
TIMEOUT_SECONDS = 20.0

_BLOCK_BYTES = 64 * 1024
_SPOKEN_BYTES_PER_SECOND = 22_050 * 2
_LANGUAGES = {
    "en_US": "en-us",
    "en_UK": "en-gb",
    "de": "de",
    "es": "es",
    "es_MX": "es-419",
    "es_US": "es-419",
    "fr": "fr-fr",
    "fr_CA": "fr-fr",
    "it": "it",
    "ja": "ja",
    "ru": "ru",
    "arb": "ar",
    "cmn_CN": "cmn",
}
_VARIANTS = {"female": "f3", "male": "m3"}


class Espeak:
    """Runs the program once for each sentence; any voice."""

    def __init__(self, spool: Spool, program: str = PROGRAM) -> None:
        self.program = program
        self._spool = spool

    def name_of(self, voice: Voice) -> str:
        """Return what the program calls the nearest voice."""
        return f"{_LANGUAGES[voice.locale]}+{_VARIANTS[voice.gender]}"

    async def speak(self, markup: str, voice: Voice) -> Spooled:
        """Return a sentence as µ-law at 8 kHz; `markup` is SSML without its root; raises SpeechUnavailable, NoRoomError."""
        spoken = await self._speak(f"<speak>{markup}</speak>", self.name_of(voice))
        try:
            await asyncio.to_thread(lambda: to_ulaw(spoken, Wav.parse(spoken)))
        except SoundError as error:
            raise SpeechUnavailable(f"{self.program} wrote no audio. {error}") from error
        return spoken

    async def _speak(self, document: str, name: str) -> Spooled:
        arguments = (self.program, "-m", "-v", name, "--stdin", "--stdout")
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
        except OSError as error:
            raise SpeechUnavailable(f"{self.program} cannot be started; install the package espeak-ng.") from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._talk_to(process, document.encode())
        except TimeoutError as error:
            raise SpeechUnavailable(f"{self.program} took longer than {TIMEOUT_SECONDS:g} s.") from error
        finally:
            if process.returncode is None:
                process.kill()
            await _drain(process)
            await process.wait()

    async def _talk_to(self, process: asyncio.subprocess.Process, document: bytes) -> Spooled:
        if process.stdin is None or process.stdout is None:
            raise SpeechUnavailable(f"{self.program} has no pipes.")
        process.stdin.write(document)
        process.stdin.close()
        spoken = self._spool.new()
        while piece := await process.stdout.read(_BLOCK_BYTES):
            if not spoken.remember(piece):
                await asyncio.to_thread(spoken.append, piece)
            if len(spoken) > MAX_SPEECH_SECONDS * _SPOKEN_BYTES_PER_SECOND:
                raise SpeechUnavailable(f"The sentence is longer than {MAX_SPEECH_SECONDS} s when spoken.")
        await process.wait()  # here, since a kill would take its end from the one who waits for it, who says so in the log
        return spoken


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read what is left in the pipe: asyncio reports the end of a process only after that of its pipes, which a full buffer hides."""
    while process.stdout is not None and await process.stdout.read(65_536):
        pass
