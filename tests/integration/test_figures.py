"""The figures of minutes are the same on both databases."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.fleet import Fleet
from tests.support.postgres_server import PostgresServer

SEED = """
import random
from tests.unit.voiceapps.builders import application, ended, facts
from dataclasses import replace
from datetime import UTC, datetime
from django.forms.models import model_to_dict
from voiceapps.models import CallMinute, RefusalMinute, TouchedMinute, VoiceApplication, WebhookMinute
from voiceapps.models.figures import ALL_APPLICATIONS
from voiceapps.reads.figures import day_figures, live_figures
from voiceapps.reads.live_calls import live_calls
from voiceapps.rules.admission import Reason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import *
from voiceapps.services.figures import minutes
from voiceapps.services.reports import write_reports
dice = random.Random(7)
apps = [application(), application("9911111")]
start = 1_700_000_000.0
for number in range(300):
    row = dice.choice(apps)
    call = replace(facts(row, number), started_at=start + round(dice.uniform(0, 600), 3))
    talks = dice.random() < 0.7
    answered = call.started_at + dice.choice([0.02, 0.05, 0.3, 2.5, 30.0]) if talks else None
    source, at = f"198.51.100.{number % 9}", call.started_at
    write_reports([
        CallAdmitted(call, "proxy"),
        *([CallAnswered(call, "callflow", answered)] if talks else []),
        *([ended(call, answered_at=answered, at=at + dice.uniform(31, 9000), reason=dice.choice(list(EndReason)))] if number % 5 else []),
        WebhookFetched(call, dice.choice(["initiate", "gather"]), at, "https://a.example/", "POST", "{}",
            dice.choice([200, 204, 500, None]), "", dice.choice([3, 20, 21, 999, 30_000]), None),
        RefusalSeen(dice.choice([str(row.pk), None]), source, dice.choice(list(Reason)), 401, 3, at, at, None, "", "", "", ()),
    ])
    if number % 5 == 0:
        figures = MediaFigures("external", number, 7, 8, 1, 0.5, None, 4.1, 0, "kernel", 0, "", "")
        write_reports([MediaReport(call.call_id, "relay", at, figures, final=False)])
    if number % 50 == 0:
        minutes.roll_up()
minutes.roll_up()
assert not TouchedMinute.objects.exists()
names = {row.pk: str(number) for number, row in enumerate(apps)} | {ALL_APPLICATIONS: "all"}
result = []
for table in (CallMinute, RefusalMinute, WebhookMinute):
    for row in table.objects.all():
        figures = model_to_dict(row, exclude=["id", "application_id"])
        result.append([table.__name__, names.get(getattr(row, "application_id", None), ""), sorted(figures.items())])
result.sort(key=repr)
at = datetime.fromtimestamp(start + 700, UTC)
write_reports([NodeBeat("mediarelay", "relay", start + 699, "up", "", "", 3, "", ports_used=3, ports_total=9)])
for account in (None, "9900000"):
    live, day = live_figures(account, at), day_figures(account, at)
    result += [repr(sorted(map(repr, part))) for part in (live.nodes, live.calls, live.refusals, live.webhooks, day.calls, day.webhooks)]
    result += [repr((live.open_calls, live.bans, live.setups)), repr(sorted(day.refusals.items()))]
    shown = live_calls(account)
    result += [shown.total, [repr((call.call_id, call.caller, call.callflow)) for call in shown.shown]]
"""


def test_both_databases_count_alike(make_fleet: Callable[..., Fleet], postgres: PostgresServer) -> None:
    counted = []
    for environment in ({}, {"SIPURI_DATABASE_URL": postgres.url}):
        fleet = make_fleet(**environment)
        fleet.prepare()
        counted.append(fleet.python(SEED))
    sqlite, postgresql = counted
    assert {row[0] for row in sqlite if isinstance(row, list)} >= {"CallMinute", "RefusalMinute", "WebhookMinute"}
    assert len(sqlite) > 100
    assert sqlite == postgresql
