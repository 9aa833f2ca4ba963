"""What every view of call control shares: the account checks of the other API and an error shape of its own (D16)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from voiceapps.api.base import AccountView
from voiceapps.api.openapi import FLAT_TYPES
from voiceapps.api.wire.errors import Problem


def flat(problems: Sequence[Problem]) -> dict[str, object]:
    """Return the first problem in the shape of Programmable Voice; a bad field or parameter is named in the sentence."""
    problem = problems[0]
    name = next(iter(problem.source.values()), "")
    description = f"Invalid {name}: {problem.description}" if name else problem.description
    return {"type": FLAT_TYPES.get(problem.status, "error"), "description": description, "id": str(uuid.uuid4())}


class CallControlView(AccountView):
    """A view of calls or recordings."""

    render_problems = staticmethod(flat)
