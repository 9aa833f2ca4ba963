"""Customers and operators with what they have made: applications, API clients, trials, files, hosts that fail; and the nodes."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils import timezone

from bench.console.rows.making import MAP, ago, hexadecimal, insert, is_postgres, text, uuid
from bench.console.rows.sizes import Sizes
from voiceapps.models import Account, ApiClient, CallExport, CallSimulation, FailingHost, Node, Operator, PlacedCall
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.rules.trials.placed_call import Outcome
from voiceapps.services import applications
from voiceapps.services.audit import Actor
from voiceapps.services.people import operators

BOUND_TO = "9800003"
"""The account of the operator who sees no other."""
PASSWORD = "operator"  # noqa: S105  # of a database that is thrown away
ACTOR = Actor("bench")
_URL = "https://a.example/initiate"


def fill_customers(sizes: Sizes) -> None:
    """Make accounts and applications, and the table that leads to them."""
    kind = "uuid" if is_postgres() else "text"
    with transaction.atomic(), connection.cursor() as cursor:
        Account.objects.bulk_create([Account(account_id=f"98{number:05d}") for number in range(sizes.accounts)])
        cursor.execute(f"CREATE TABLE {MAP} (number integer PRIMARY KEY, id {kind}, account text, name text)")
        for number in range(sizes.applications):
            account = Account.objects.get(pk=f"98{number % sizes.accounts:05d}")
            patch = InboundSipPatch(enabled=True, password_auth=True)
            row = applications.create(account, {"name": f"App {number}", "initiated_url": _URL}, patch, actor=ACTOR).application
            key = str(row.pk) if is_postgres() else row.pk.hex
            cursor.execute(f"INSERT INTO {MAP} VALUES (%s, %s, %s, %s)", [number, key, account.pk, str(row.pk)])  # noqa: S608  # our own name


def fill(sizes: Sizes) -> None:
    """Make everybody and everything else."""
    clients = ApiClient.objects.bulk_create(
        ApiClient(client_id=f"client-{number}", name=f"Client {number}", client_type="confidential") for number in range(sizes.clients)
    )
    bound = ApiClient.accounts.through
    bound.objects.bulk_create(
        bound(apiclient_id=client.pk, account_id=f"98{number % sizes.accounts:05d}") for number, client in enumerate(clients)
    )
    _people(sizes)
    own = {"account_id": "a.account", "application_id": "a.id", "created_at": ago("40 * i"), "ended_at": ago("40 * i - 1")}
    insert(CallSimulation, range(1, sizes.trials + 1), own | {"simulation_id": uuid("i")}, {"state": "ended", "script": "{}"})
    placed = own | {"placed_call_id": uuid("i"), "sip_call_id": f"{hexadecimal('i')} || '@pbx.example'"}
    outcome = Outcome(status=200, reason="OK", answered_after=0.2, lasted=1.0, packets=50).dump()
    ended = {"state": "ended", "dialling": "{}", "outcome": outcome, "heard": b"\xff" * 8_000}
    insert(PlacedCall, range(1, sizes.trials + 1), placed, ended)
    failing = {"account_id": "a.account", "host": "'h' || " + text("i") + " || '.example:443'", "since": ago("i + 9"), "last_at": ago("i")}
    insert(FailingHost, range(1, sizes.hosts + 1), failing, {"failures": 9, "error": "It does not answer."})
    _nodes(sizes)


def _people(sizes: Sizes) -> None:
    """Make two operators who log in, and many others, of whom one in two is bound to an account."""
    for name, role, account in (("bound", Role.ADMIN, Account.objects.get(pk=BOUND_TO)), ("viewer", Role.VIEWER, None)):
        user = User(username=name)
        user.set_password(PASSWORD)
        operators.add(user, role, account, actor=ACTOR)
    people = User.objects.bulk_create(User(username=f"person-{number}", is_staff=True) for number in range(sizes.people))
    Operator.objects.bulk_create(
        Operator(user=user, account_id=f"98{number % sizes.accounts:05d}" if number % 2 else None) for number, user in enumerate(people)
    )
    held, group = User.groups.through, Group.objects.get(name=Role.OPERATOR.group)
    held.objects.bulk_create(held(user=user, group=group) for user in people)


def _nodes(sizes: Sizes) -> None:
    now, admin = timezone.now(), User.objects.get(username="admin")
    file = {"query": "since=24h", "file_format": "csv", "shows_personal": True, "state": "ended", "created_at": now - timedelta(hours=1)}
    CallExport.objects.bulk_create(CallExport(operator=admin, **file) for _ in range(sizes.exports))
    roles = ("sipproxy", "mediarelay", "callflow", "worker")
    busy = {"state": "up", "seen_at": now, "load": 10, "ports_used": 99, "ports_total": 10_000}
    Node.objects.bulk_create(Node(name=f"{roles[number % 4]}-{number}", role=roles[number % 4], **busy) for number in range(sizes.nodes))
