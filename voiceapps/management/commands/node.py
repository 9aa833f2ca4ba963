"""`manage.py node`: list the nodes, have some of them drain, or take calls again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import filter as matching
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from voiceapps.choices import WantedState
from voiceapps.models import Node
from voiceapps.selectors import node_health
from voiceapps.services import key_check, nodes
from voiceapps.services.audit import Actor

ACTOR = Actor("command node")
ORDERS = {"drain": WantedState.DRAINING, "resume": WantedState.UP}
LINE = "{:<32} {:<10} {:<9} {:<9} {:>6}"


class Command(BaseCommand):
    """The command by which an operator takes a node out for maintenance."""

    help = "List the nodes. `node NAME... drain` lets their calls end and gives them no new ones, `node NAME... resume` takes that back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the names and the order, which comes last."""
        parser.add_argument("words", nargs="*", metavar="WORD", help="names, in which * stands for any text, and then drain or resume")

    def handle(self, *_args: Any, words: list[str], **_options: Any) -> None:
        """List the nodes, or tell all that are named; raises CommandError or KeysDiffer, and then none was told."""
        if not words:
            self._list()
            return
        *names, order = words
        if order not in ORDERS or not names:
            raise CommandError("Write the names, and then drain or resume; `manage.py node` alone lists the nodes.")
        # Each order is signed in the audit trail.
        key_check.ensure(learn=False)
        try:
            with transaction.atomic():
                told = {name: nodes.want(name, ORDERS[order], actor=ACTOR) for name in dict.fromkeys(_expanded(names))}
        except nodes.NodeOrderError as error:
            raise CommandError(str(error)) from error
        for name, when in told.items():
            self.stdout.write(f"{name}: {ORDERS[order].value} {when}")

    def _list(self) -> None:
        self.stdout.write(LINE.format("name", "role", "state", "wanted", "load"))
        for node in Node.objects.all():
            self.stdout.write(LINE.format(node.name, node.role, node_health(node), node.wanted, node.load))


def _expanded(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, and for each pattern the nodes that can be told something; one that matches none is a name that nobody has.

    Raises DisobedientNodeError for one that matches others only.
    """
    roles = dict(Node.objects.values_list("name", "role"))
    obeying = [name for name, role in roles.items() if role in nodes.OBEYING_ROLES]
    for name in names:
        found = matching(obeying, name)
        others = [] if found or name in roles else matching(roles, name)
        if others:
            words = f"{name} means only nodes that take no calls ({', '.join(others)})"
            raise nodes.DisobedientNodeError(f"{words}. Those that can drain are {', '.join(obeying)}." if obeying else f"{words}.")
        yield from found or [name]
