"""The engines that answer: our call flow as an operator starts it, and baresip as Debian ships it; each on a core of its own."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.signalling.ours import Daemons
from bench.signalling.ports import free_ports, is_free
from bench.signalling.processes import Program
from bench.voice.backend import tone
from bench.voice.callers import HOST
from bench.voice.dialog import Target
from sipproxy.mac import mac_key
from tests.support.fleet import ACCOUNT, until

ROLE = "callflow"
DROPS = 'sipuri_callflow_stream_losses_total{reason="slow"}'
KEY_FILE = "keys/sipuri_route_key"
MODULES = Path("/usr/lib/baresip/modules")
MAX_PEER_CALLS = 2_000


@dataclass(frozen=True, slots=True)
class Engine:
    """One that answers calls; `recordings` is the folder of what it records, None if it is not looked at."""

    pid: int
    target: Target
    recordings: Path | None = None
    dropped: Callable[[], float] = lambda: 0.0
    """Tells how many frames of streams it has dropped."""


Start = Callable[[Path], AbstractContextManager[Engine]]
"""Takes a directory of its own, which does not exist yet."""


class Ours:
    """Our call flow, each time with a new database that knows one application."""

    def __init__(self, directory: Path, backend: str, core: int, profile_dir: Path | None) -> None:
        self._prefix = on_core(core)
        self._profile_dir = profile_dir
        self._template = directory / "template"
        maker = Daemons(self._template, ())
        maker.prepare()
        self._application_id = maker.python(_making_application(backend))

    @contextmanager
    def running(self, directory: Path) -> Iterator[Engine]:
        """Run the daemon."""
        shutil.copytree(self._template, directory)
        profiles = self._profile_dir / directory.name if self._profile_dir else None
        if profiles:
            profiles.mkdir(parents=True)
        fleet = Daemons(directory, (ROLE,), prefix=self._prefix, profile_dir=profiles)
        host, _, port = fleet.env["SIPURI_CALLFLOW_BIND"].partition(":")
        target = Target(host, int(port), self._application_id, mac_key((directory / KEY_FILE).read_bytes(), b"invite").hex())
        try:
            fleet.spawn_all()
            yield Engine(fleet.processes[ROLE].pid, target, directory / "recordings", partial(_dropped, fleet))
        finally:
            fleet.stop()


def _dropped(fleet: Daemons) -> float:
    """Return the frames that the daemon has dropped; a metric without any is not on its page."""
    try:
        return fleet.gauge(ROLE, DROPS)
    except AssertionError:
        return 0.0


@contextmanager
def baresip(core: int, seconds: float, directory: Path, *, recording: bool) -> Iterator[Engine]:
    """Run baresip: it plays a file of that many seconds to each caller and decodes what it hears; `recording` keeps both in files."""
    directory.mkdir()
    (port,) = free_ports(1)
    (directory / "sound.wav").write_bytes(tone(seconds))
    for name, text in baresip_files(directory, port, recording=recording).items():
        (directory / name).write_text(text)
    program = Program([*on_core(core), "baresip", "-f", str(directory)], directory=directory, log="baresip.log")
    try:
        until(lambda: not is_free(port), seconds=10, what=f"baresip, see {directory}", every=0.1)
        yield Engine(program.pid, Target(HOST, port))
    finally:
        program.stop(signal.SIGTERM)


def baresip_files(directory: Path, port: int, *, recording: bool) -> Mapping[str, str]:
    """Return the files of a baresip that answers every call at a port, by their names."""
    recorder = f"module sndfile.so\nsnd_path {directory}\n" if recording else ""
    config = f"""module_path {MODULES}
sip_listen {HOST}:{port}
net_interface {HOST}
call_max_calls {MAX_PEER_CALLS}
audio_source aufile,{directory / "sound.wav"}
module g711.so
module aufile.so
{recorder}module_app account.so
"""
    return {"config": config, "accounts": f"<sip:bench@{HOST}:{port}>;regint=0;answermode=auto;audio_codecs=PCMU\n", "contacts": ""}


def on_core(core: int) -> tuple[str, ...]:
    """Return what runs a command on one core."""
    return "taskset", "--cpu-list", str(core)


def _making_application(backend: str) -> str:
    """Return the code that makes the application."""
    return f"""
from voiceapps.models import Account
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import applications
from voiceapps.services.audit import Actor
fields = {{"name": "Bench", "initiated_url": "{backend}/initiate"}}
patch = InboundSipPatch(enabled=True, password_auth=True)
made = applications.create(Account.objects.get(pk={ACCOUNT!r}), fields, patch, actor=Actor("bench"))
result = str(made.application.pk)"""
