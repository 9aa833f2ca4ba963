"""`python -m demo.serve`: the tour's backend alone, for calls of your own; it prints each webhook and its answer."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import django

from demo.backend import Backend, Webhook
from demo.narrator import Narrator


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve a sample backend that greets, asks for digits and takes a message.")
    parser.add_argument("--account", default="9900000", help="whose signatures are verified")
    parser.add_argument("--port", type=int, default=8089)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")
    django.setup()
    try:
        asyncio.run(_serve(options.account, options.port))
    except KeyboardInterrupt:
        return
    except OSError as error:
        sys.exit(f"The backend cannot listen on port {options.port}: {error.strerror}.")


async def _serve(account: str, port: int) -> None:
    from django.conf import settings  # noqa: PLC0415  # it exists only now

    from voiceapps.daemon.outbound import signing_secret  # noqa: PLC0415  # likewise

    narrator = Narrator(sys.stdout)

    def show(webhook: Webhook) -> None:
        verified = "signature verified" if webhook.signed else "signature NOT verified"
        narrator.event("webhook", f"{webhook.event['eventType']} ({verified}), answered with {webhook.status}")
        narrator.document(webhook.answer)

    backend = Backend(signing_secret(settings.SIPURI_WEBHOOK_KEY, account), show)
    await backend.start("127.0.0.1", port)
    narrator.say(f"The backend answers at http://127.0.0.1:{port}/initiate and /status. Ctrl-C ends it.")
    try:
        await asyncio.Event().wait()
    finally:
        await backend.stop()


if __name__ == "__main__":
    main()
