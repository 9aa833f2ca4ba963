"""The errors of a list in a request, by one rule for its length and one for each entry."""

from __future__ import annotations

from collections.abc import Callable


def entry_errors(entries: tuple[str, ...], most: int, parse: Callable[[str], object]) -> list[str]:
    """Return the errors of a list: its length, entries that `parse` refuses, entries that occur more than once."""
    if len(entries) > most:
        return [f"At most {most} entries are allowed, {len(entries)} were sent."]
    errors = []
    for entry in entries:
        try:
            parse(entry)
        except ValueError as error:
            errors.append(f"{entry[:64]!r}: {error}")
    repeated = {entry for entry in entries if entries.count(entry) > 1}
    return errors + [f"{entry!r}: Listed more than once." for entry in sorted(repeated)]
