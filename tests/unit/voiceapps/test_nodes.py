"""What operators want of nodes: in the database, by the command, and in the console."""

from __future__ import annotations

import io
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from voiceapps.choices import WantedState
from voiceapps.models import AuditEntry, Node
from voiceapps.rules.reports import NodeBeat, Role
from voiceapps.selectors import is_to_drain, live_nodes
from voiceapps.services import nodes
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

ACTOR = Actor("test")
UP, DRAINING = WantedState.UP, WantedState.DRAINING
LIST = "admin:voiceapps_node_changelist"


def beat(name: str, *, role: Role = "sipproxy", state: str = "up", ago: float = 0.0) -> None:
    write_reports([NodeBeat(role, name, time.time() - ago, state, "203.0.113.5:6160", "10.0.0.1:6162", 7, "")])  # type: ignore[arg-type]  # a state


def wanted() -> dict[str, str]:
    return dict(Node.objects.values_list("name", "wanted"))


def test_a_node_is_wanted_up_until_somebody_says_otherwise() -> None:
    beat("one")
    assert wanted() == {"one": "up"}
    assert not is_to_drain("one")
    assert not is_to_drain("of which nobody has heard")


def test_beats_of_any_boot_leave_what_is_wanted() -> None:
    beat("one")
    nodes.want("one", DRAINING, actor=ACTOR)
    for state in ("draining", "down", "up"):
        beat("one", state=state)
        assert is_to_drain("one")
    assert Node.objects.get().state == "up"
    nodes.want("one", UP, actor=ACTOR)
    assert not is_to_drain("one")


def test_others_see_it_drain_before_the_process_knows() -> None:
    beat("one")
    beat("two")
    nodes.want("one", DRAINING, actor=ACTOR)
    assert {node.name: node.state for node in live_nodes("sipproxy")} == {"one": "draining", "two": "up"}


def test_a_node_that_drains_by_itself_is_not_up_because_it_is_wanted_up() -> None:
    beat("one", state="draining")
    assert [node.state for node in live_nodes("sipproxy")] == ["draining"]


def test_each_change_is_audited_once() -> None:
    beat("one")
    for state in (DRAINING, DRAINING, UP, UP):
        nodes.want("one", state, actor=ACTOR)
    entries = AuditEntry.objects.order_by("number").values_list("actor", "action", "subject", "changes")
    assert list(entries) == [
        ("test", "node.want", "one", {"wanted": "draining"}),
        ("test", "node.want", "one", {"wanted": "up"}),
    ]


def test_a_node_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(nodes.UnknownNodeError, match=r"No node is called nobody\."):
        nodes.want("nobody", DRAINING, actor=ACTOR)


@pytest.mark.parametrize("role", ["worker", "webhooks"])
def test_a_role_without_calls_does_not_drain(role: Role) -> None:
    beat("one", role=role)
    with pytest.raises(nodes.DisobedientNodeError, match=role):
        nodes.want("one", DRAINING, actor=ACTOR)
    assert wanted() == {"one": "up"}


# The command.


def command(*words: str) -> str:
    output = io.StringIO()
    call_command("node", *words, stdout=output)
    return output.getvalue()


def test_without_words_it_lists_the_nodes() -> None:
    beat("sipproxy-one")
    beat("sipproxy-two", ago=60)
    nodes.want("sipproxy-one", DRAINING, actor=ACTOR)
    lines = [line.split() for line in command().splitlines()]
    assert lines == [
        ["name", "role", "state", "wanted", "load"],
        ["sipproxy-one", "sipproxy", "up", "draining", "7"],
        ["sipproxy-two", "sipproxy", "silent", "up", "7"],
    ]


def test_it_has_nodes_drain_and_resume() -> None:
    for name in ("one", "two", "three"):
        beat(name)
    assert command("one", "two", "one", "drain") == "one: draining within two seconds\ntwo: draining within two seconds\n"
    assert wanted() == {"one": "draining", "two": "draining", "three": "up"}
    assert command("two", "resume") == "two: up within two seconds\n"
    assert wanted() == {"one": "draining", "two": "up", "three": "up"}
    assert {entry.actor for entry in AuditEntry.objects.all()} == {"command node"}


@pytest.mark.parametrize(
    ("state", "ago", "when"), [("down", 0, "as soon as it is started"), ("up", 60, "as soon as it reaches the database")]
)
def test_of_one_that_is_not_heard_it_says_so(state: str, ago: float, when: str) -> None:
    beat("one", state=state, ago=ago)
    assert command("one", "drain") == f"one: draining {when}\n"
    assert f"one: up {when}." in press(console(superuser=True), "resume", "one")


def test_a_star_that_means_only_others_is_refused_where_nothing_can_drain() -> None:
    beat("worker-one", role="worker")
    with pytest.raises(CommandError, match=r"take no calls \(worker-one\)\.$"):
        command("*", "drain")


def test_a_star_names_all_workers_of_a_node_and_a_whole_host() -> None:
    for name in ("sipproxy-one-0", "sipproxy-one-1", "sipproxy-two-0"):
        beat(name)
    beat("callflow-one", role="callflow")
    beat("worker-one", role="worker")
    command("sipproxy-one-*", "drain")
    assert [name for name, state in wanted().items() if state == "draining"] == ["sipproxy-one-0", "sipproxy-one-1"]
    command("*-one*", "drain")
    assert [name for name, state in wanted().items() if state == "up"] == ["sipproxy-two-0", "worker-one"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one"], "Write the names"),
        (["list"], "`manage.py node` alone lists"),
        (["drain"], "Write the names"),
        (["one", "stop"], "Write the names"),
        (["one", "nobody", "drain"], "No node is called nobody"),
        (["one", "other-*", "drain"], r"No node is called other-\*"),
        (["one", "worker-one", "drain"], "worker-one takes no calls"),
        (["one", "work*", "drain"], r"work\* means only nodes that take no calls \(worker-one\)\. Those that can drain are one\."),
    ],
)
def test_a_word_that_means_nothing_changes_nothing(words: list[str], message: str) -> None:
    beat("one")
    beat("worker-one", role="worker")
    with pytest.raises(CommandError, match=message):
        command(*words)
    assert wanted() == {"one": "up", "worker-one": "up"}
    assert not AuditEntry.objects.exists()


# The console.


def console(*permissions: str, superuser: bool = False) -> Client:
    user = User.objects.create(username="op", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def press(client: Client, button: str, *names: str) -> str:
    return client.post(reverse(LIST), {"action": button, "_selected_action": names}, follow=True).content.decode()


@pytest.mark.parametrize("permissions", [(), ("view_node", "change_node")])
def test_an_operator_has_nodes_drain_and_take_calls_again(permissions: tuple[str, ...]) -> None:
    for name in ("one", "two", "three"):
        beat(name)
    client = console(*permissions, superuser=not permissions)
    page = client.get(reverse(LIST)).content.decode()
    assert "Drain" in page
    assert "Take calls again" in page
    assert "two: draining within two seconds." in press(client, "drain", "one", "two")
    assert wanted() == {"one": "draining", "two": "draining", "three": "up"}
    assert "one: up within two seconds." in press(client, "resume", "one", "three")
    assert wanted() == {"one": "up", "two": "draining", "three": "up"}
    entries = AuditEntry.objects.order_by("number").values_list("actor", "subject")
    assert set(entries) == {("operator op", "one"), ("operator op", "two")}
    assert len(entries) == 3


def test_a_node_that_obeys_nobody_is_named_and_the_others_drain() -> None:
    beat("one")
    beat("worker-one", role="worker")
    page = press(console(superuser=True), "drain", "worker-one", "one")
    assert "worker-one takes no calls" in page
    assert wanted() == {"one": "draining", "worker-one": "up"}


def test_view_permission_alone_allows_no_order() -> None:
    beat("one")
    client = console("view_node")
    page = client.get(reverse(LIST)).content.decode()
    assert "one" in page
    assert "Take calls again" not in page
    press(client, "drain", "one")
    change = reverse("admin:voiceapps_node_change", args=["one"])
    assert client.get(change).status_code == 200
    assert client.post(change, {"wanted": "draining"}).status_code == 403
    assert wanted() == {"one": "up"}


def test_no_operator_edits_the_row_itself() -> None:
    beat("one")
    client = console(superuser=True)
    assert client.post(reverse("admin:voiceapps_node_change", args=["one"]), {"wanted": "draining"}).status_code == 403
    assert wanted() == {"one": "up"}
