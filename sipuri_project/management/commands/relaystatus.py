"""`manage.py relaystatus`: the calls of each media relay, the plane that forwards them, and where their audio comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from daemonkit.address import Address
from mediarelay.aio.inquiry import ask_relay
from mediarelay.ng.limits import MAX_LISTED_CALLS

LINE = "  {:47} {:3} {:9} {:21} {:>5} {:21} {:>9} {:>6}"


class Command(BaseCommand):
    """Shows what the relays do now."""

    help = "Shows the calls of each relay in SIPURI_MEDIA_RELAYS: who forwards them, ports, where audio comes from, packets, loss."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option for how many calls to show."""
        parser.add_argument("--calls", type=int, default=20, help=f"calls to show of each relay, up to {MAX_LISTED_CALLS} (20)")

    def handle(self, *_: Any, calls: int, **__: Any) -> None:
        """Print a table for each relay; raises CommandError if none answers."""
        answered = [self._show(address, calls) for address, _ in settings.MEDIA_RELAYS]
        if not any(answered):
            raise CommandError("No relay answers.")

    def _show(self, relay: Address, calls: int) -> bool:
        name = f"udp:{relay[0]}:{relay[1]}"
        try:
            statistics = ask_relay(relay, {"command": "statistics"})
            listed = ask_relay(relay, {"command": "list", "limit": calls})
        except (TimeoutError, ValueError) as error:
            self.stdout.write(f"{name}: {error}")
            return False
        self.stdout.write(f"{name}: {_summary(statistics)}")
        found = listed.get(b"calls")
        for call_id in found if isinstance(found, list) else []:
            self._show_call(relay, call_id)
        return True

    def _show_call(self, relay: Address, call_id: bytes) -> None:
        try:
            call = ask_relay(relay, {"command": "query", "call-id": call_id})
        except (TimeoutError, ValueError):
            # It has ended since it was listed.
            return
        for row in _rows(call):
            self.stdout.write(LINE.format(call_id.decode("utf-8", "replace"), *row))


def _summary(statistics: Mapping[bytes, Any]) -> str:
    current = statistics.get(b"statistics", {}).get(b"currentstatistics", {})
    planes = current.get(b"planes")
    carried = f", streams by plane: {', '.join(f'{name.decode()} {count}' for name, count in planes.items())}" if planes else ""
    direct = f", {current[b'directflows']} directions from device to device" if current.get(b"directflows") else ""
    return f"{current.get(b'sessionstotal', 0)} sessions{carried}{direct}"


def _rows(call: Mapping[bytes, Any]) -> Iterator[tuple[str, ...]]:
    """Yield, for each stream, tag, plane, where audio comes from, our port, the described address, packets and losses."""
    for tag, party in call.get(b"tags", {}).items():
        for media in party.get(b"medias", ()):
            stream = media[b"streams"][0]
            yield (
                tag[:3].decode("utf-8", "replace"),
                media.get(b"plane", b"").decode(),
                _endpoint(stream.get(b"endpoint", {})),
                str(stream.get(b"local port", "")),
                _endpoint(stream.get(b"advertised endpoint", {})),
                str(stream.get(b"stats", {}).get(b"packets", "")),
                str(media.get(b"lost packets", "")),
            )


def _endpoint(value: Mapping[bytes, Any]) -> str:
    return f"{value[b'address'].decode()}:{value[b'port']}" if b"address" in value else ""
