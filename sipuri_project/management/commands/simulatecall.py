"""`manage.py simulatecall`: run an application's documents for a call that nobody places."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from sipuri_project.supplied.simulations import simulate
from voiceapps.models import VoiceApplication
from voiceapps.rules.trials.call_simulation import Script, ScriptError, SimulatedCall
from voiceapps.selectors import as_call_application
from voiceapps.services import webhooks
from voiceapps.services.trials.made_up_call import made_up_call
from voiceapps.services.trials.simulations import Planned

MAX_SCRIPT_BYTES = 1024 * 1024


class Command(BaseCommand):
    """Ask an application's real backend for documents, run them by a clock of their own, and print what a caller would have met."""

    help = (
        "Runs the documents of an application without a call. Its webhooks are fetched, with the header `webhook-simulated: true`; nothing "
        "is stored, and status events are named, not sent. Exit code 0 when the call ended well."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the application and what its caller does."""
        parser.add_argument("application", help="the id of the Voice Application")
        parser.add_argument(
            "--digits", action="append", default=[], help="what the caller presses at its next turn; may be repeated; '' is silence"
        )
        parser.add_argument("--from", dest="caller", default="", help="the caller's SIP URI")
        parser.add_argument("--hang-up-at", type=float, default=None, help="the second of the call at which the caller hangs up")
        parser.add_argument(
            "--script", default="", help="a JSON file with from, turns and hangUpAt, in place of the options above; - is the input"
        )
        parser.add_argument("--max-seconds", type=float, default=120.0, help="how long all webhooks together may take")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the call and print its transcript; raises CommandError if it did not end well."""
        row, script = _application(options["application"]), _script(options)
        planned = Planned(uuid.uuid4(), as_call_application(row), made_up_call(row, script.caller), script)
        call = asyncio.run(_run(planned, options["max_seconds"]))
        self._print(call, as_json=options["json"])
        if call.problem:
            raise CommandError(call.problem)

    def _print(self, call: SimulatedCall, *, as_json: bool) -> None:
        if as_json:
            lines = [{"at": line.at, "what": line.what, "text": line.text} for line in call.transcript]
            self.stdout.write(json.dumps({"transcript": lines, "problem": call.problem}))
            return
        for line in call.transcript:
            self.stdout.write(f"{line.at:9.3f}  {line.what.words:<16}  {line.text}".rstrip())


def _application(application_id: str) -> VoiceApplication:
    try:
        row = VoiceApplication.objects.filter(pk=application_id).first()
    except ValidationError:
        row = None
    if row is None:
        raise CommandError(f"There is no application {application_id}.")
    if not row.initiated_url:
        raise CommandError("The application has no callInitiatedCallbackUrl: a call to it is not answered by documents.")
    return row


def _script(options: dict[str, Any]) -> Script:
    try:
        return Script.parse(_script_values(options))
    except ScriptError as error:
        raise CommandError(str(error)) from error


def _script_values(options: dict[str, Any]) -> object:
    if not options["script"]:
        turns = [{"digits": digits} for digits in options["digits"]]
        return {"from": options["caller"], "turns": turns, "hangUpAt": options["hang_up_at"]}
    if options["digits"] or options["caller"] or options["hang_up_at"] is not None:
        raise CommandError("--script holds all that the caller does: leave --digits, --from and --hang-up-at out.")
    try:
        with sys.stdin.buffer if options["script"] == "-" else Path(options["script"]).open("rb") as file:
            text = file.read(MAX_SCRIPT_BYTES + 1)
        if len(text) > MAX_SCRIPT_BYTES:
            raise CommandError(f"{options['script']} is longer than {MAX_SCRIPT_BYTES} octets.")
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{options['script']} is no JSON file. {error}") from error


async def _run(planned: Planned, deadline_seconds: float) -> SimulatedCall:
    client = webhooks.new_client()
    try:
        return await simulate(planned, client, deadline_seconds)
    finally:
        await client.close()
