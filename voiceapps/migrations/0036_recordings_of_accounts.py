"""Give recordings the account of their call, in batches: each is a transaction of its own, so that nobody waits for all."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import OuterRef, Subquery

AT_ONCE = 1_000


def fill(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Fill the column; this may be run again."""
    recordings = apps.get_model("voiceapps", "Recording").objects
    owner = apps.get_model("voiceapps", "Call").objects.filter(pk=OuterRef("call_id")).values("account_id")
    last = ""
    while some := list(recordings.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        recordings.filter(pk__in=some).update(account_id=Subquery(owner))
        last = some[-1]


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('voiceapps', '0035_refusals_of_accounts'),
    ]

    operations = [
        migrations.AddField(
            model_name='recording',
            name='account_id',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=16),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='recording',
            index=models.Index(fields=['account_id', 'started_at', 'recording_id'], name='recording_of_account'),
        ),
    ]
