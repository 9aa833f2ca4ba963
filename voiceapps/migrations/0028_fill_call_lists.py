"""Write the number and the verdict of each call that is there, in batches: each is a transaction of its own, so that nobody waits for all."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from voiceapps.rules.diagnosis.numbers import number_of
from voiceapps.rules.diagnosis.verdicts import Story, judge
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import FIGURE_NAMES, MediaFigures

AT_ONCE = 500


def fill(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Fill both; what is there already stays, so this may be run again."""
    calls, verdicts = apps.get_model("voiceapps", "Call"), apps.get_model("voiceapps", "CallVerdict")
    for some in batches(calls):
        figures = figures_of(apps.get_model("voiceapps", "MediaLeg"), some)
        with transaction.atomic():
            verdicts.objects.bulk_create(
                (verdict(verdicts, call, figures[call.call_id]) for call in some if call.end_reason), ignore_conflicts=True
            )
            numbered = [call for call in some if not call.from_number and has_number(call)]
            calls.objects.bulk_update(numbered, ["from_number"], batch_size=AT_ONCE)


def batches(calls: Any) -> Iterator[list[Any]]:
    """Yield all calls in the order of their ids, with the columns that are needed."""
    columns = ("call_id", "account_id", "application_id", "from_uri", "from_number", "started_at", "answered_at", "ended_at", "end_reason")
    last = ""
    while some := list(calls.objects.filter(pk__gt=last).order_by("pk").only(*columns)[:AT_ONCE]):
        yield some
        last = some[-1].pk


def figures_of(legs: Any, some: list[Any]) -> dict[str, tuple[MediaFigures, ...]]:
    """Return the last figures of each side of calls."""
    figures: dict[str, tuple[MediaFigures, ...]] = defaultdict(tuple)
    for call_id, side, *rest in legs.objects.filter(call_id__in=[call.pk for call in some]).values_list("call_id", "leg", *FIGURE_NAMES):
        figures[call_id] += (MediaFigures(side, *rest),)
    return figures


def verdict(verdicts: Any, call: Any, figures: tuple[MediaFigures, ...]) -> Any:
    """Return the row of a call's verdict."""
    seconds = (call.ended_at - call.answered_at).total_seconds() if call.answered_at and call.ended_at else 0.0
    code = judge(Story(end_reason=EndReason(call.end_reason), seconds=seconds, media=figures))
    return verdicts(
        call_id=call.pk, code=code.value, account_id=call.account_id, application_id=call.application_id, started_at=call.started_at
    )


def has_number(call: Any) -> bool:
    """Set the number of a call and return whether it has one."""
    call.from_number = number_of(call.from_uri)
    return bool(call.from_number)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('voiceapps', '0027_call_lists'),
    ]

    operations = [
        # A step back drops what was filled with its table and its column.
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
