"""Whether each role has a process that is heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voiceapps.choices import NodeState
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good
from voiceapps.selectors import NodeView, known_nodes

SUBJECT = "Roles"
COMMANDS = {
    "sipproxy": "manage.py runsipproxy",
    "mediarelay": "manage.py runmediarelay",
    "callflow": "manage.py runcallflow",
    "sipdns": "manage.py runsipdns",
    "worker": "celery -A sipuri_project worker -B -Q housekeeping",
    "webhooks": "celery -A sipuri_project worker -Q webhooks",
}


def examine() -> Iterator[Finding]:
    """Yield what is found of each role."""
    for role in COMMANDS:
        yield judge(role, known_nodes(role))


def judge(role: str, known: Sequence[NodeView]) -> Finding:
    """Return what is found of a role, given its processes that were heard lately."""
    up = [node.name for node in known if node.live and node.state == NodeState.UP]
    silent = [node.name for node in known if not node.live]
    if not up and any(node.live for node in known):
        return bad(SUBJECT, f"Every {role} drains.", f"Have one take calls again: manage.py node {known[0].name} resume.")
    if not up:
        return bad(SUBJECT, f"No {role} is heard.", f"Start one: {COMMANDS[role]} (manage.py runall starts all), and read its log.")
    if silent:
        return doubtful(
            SUBJECT, f"{role}: {', '.join(silent)} fell silent; {len(up)} others are up.", "See its log, and its way to the database."
        )
    return good(SUBJECT, f"{role}: {', '.join(up)}.")
