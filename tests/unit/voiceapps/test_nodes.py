"""What operators want of nodes: in the database, by the command, and in the console."""

from __future__ import annotations

import io
import socket
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from voiceapps.choices import WantedState
from voiceapps.console.pages import nodes as pages
from voiceapps.models import AuditEntry, Node
from voiceapps.rules.reports import NodeBeat, Role
from voiceapps.selectors import is_to_drain, live_nodes
from voiceapps.services import nodes
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

ACTOR = Actor("test")
UP, DRAINING = WantedState.UP, WantedState.DRAINING
LIST = "console:nodes"


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


def test_a_relay_tells_how_many_of_its_ports_are_in_use() -> None:
    write_reports([NodeBeat("mediarelay", "relay", time.time(), "up", "", "", 7, "", ports_used=40, ports_total=5000)])
    assert Node.objects.values_list("ports_used", "ports_total").get() == (40, 5000)


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
    client.force_login(user)
    return client


def press(client: Client, button: str, *names: str) -> str:
    return client.post(reverse("console:node_order"), {"order": button, "name": names}, follow=True).content.decode()


@pytest.mark.parametrize("permissions", [(), ("view_node", "change_node")])
def test_an_operator_has_nodes_drain_and_take_calls_again(permissions: tuple[str, ...]) -> None:
    for name in ("one", "two", "three"):
        beat(name)
    client = console(*permissions, superuser=not permissions)
    page = client.get(reverse(LIST)).content.decode()
    assert 'value="drain three"' in page
    assert "Drain the chosen" in page
    assert "two: draining within two seconds." in press(client, "drain", "one", "two")
    assert wanted() == {"one": "draining", "two": "draining", "three": "up"}
    assert "one: up within two seconds." in press(client, "resume", "one", "three")
    assert wanted() == {"one": "up", "two": "draining", "three": "up"}
    entries = AuditEntry.objects.order_by("number").values_list("actor", "subject")
    assert set(entries) == {("operator op", "one"), ("operator op", "two")}
    assert len(entries) == 3


def test_a_button_of_one_node_orders_that_one_whatever_is_chosen() -> None:
    beat("one")
    beat("two")
    client = console("view_node", "change_node")
    page = client.get(reverse(LIST)).content.decode()
    assert 'form="orders" name="order" value="drain two"' in page
    assert "two: draining within two seconds." in press(client, "drain two", "one")
    assert wanted() == {"one": "up", "two": "draining"}


def test_a_page_that_is_left_open_follows_its_nodes() -> None:
    beat("one")
    client = console("view_node", "change_node")
    client.get(reverse(LIST))

    def poll(etag: str) -> tuple[int, str, str]:
        answer = client.get(reverse(LIST), {"live": "1"}, headers={"HX-Request": "true", "If-None-Match": etag})
        return answer.status_code, answer.headers.get("ETag", ""), answer.content.decode()

    _, etag, part = poll("")
    assert "csrfmiddlewaretoken" not in part
    beat("one")
    assert poll(etag)[0] == 304
    nodes.want("one", DRAINING, actor=ACTOR)
    assert 'value="resume one"' in poll(etag)[2]


def test_a_node_that_obeys_nobody_is_named_and_the_others_drain() -> None:
    beat("one")
    beat("worker-one", role="worker")
    page = press(console(superuser=True), "drain", "worker-one", "one")
    assert "worker-one takes no calls" in page
    assert wanted() == {"one": "draining", "worker-one": "up"}


def test_who_may_only_look_gives_no_order() -> None:
    beat("one")
    client = console("view_node")
    page = client.get(reverse(LIST)).content.decode()
    assert "one" in page
    assert "drain one" not in page
    assert client.post(reverse("console:node_order"), {"order": "drain", "name": "one"}).status_code == 403
    assert wanted() == {"one": "up"}


@pytest.mark.parametrize(("button", "names"), [("stop", ["one"]), ("", ["one"]), ("drain", [])])
def test_an_order_that_means_nothing_is_told(button: str, names: list[str]) -> None:
    beat("one")
    assert "Choose nodes" in press(console(superuser=True), button, *names)
    assert wanted() == {"one": "up"}


def test_an_unknown_node_is_named() -> None:
    assert "No node is called nobody." in press(console(superuser=True), "drain", "nobody")


def test_without_any_process_the_page_says_how_to_start_them() -> None:
    page = console("view_node").get(reverse(LIST)).content.decode()
    assert "manage.py runall" in page
    assert "No DNS server of ours is up" in page


def test_a_dns_server_that_does_not_answer_is_told(settings: Settings) -> None:
    beat("dns-one", role="sipdns")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        free = taken.getsockname()
    settings.DNS_BIND = free
    # Once: each question that nobody answers would take two seconds.
    assert console("view_node").get(reverse(LIST)).content.decode().count(f"No answer from 127.0.0.1:{free[1]}") == 1


def test_what_dns_answers_now_is_asked_of_the_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    beat("dns-one", role="sipdns")
    answers = {"A": ("203.0.113.5",), "SRV": ("10 10 6160 p.example.",)}
    monkeypatch.setattr(pages._dns, "ask", lambda _server, _name, kind: answers[kind])
    page = console("view_node").get(reverse(LIST)).content.decode()
    assert "203.0.113.5" in page
    assert page.count("10 10 6160 p.example.") == 2
