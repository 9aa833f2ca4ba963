"""Give refused attempts the account of their application, in batches: each is a transaction of its own, so that nobody waits for all."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import OuterRef, Subquery

AT_ONCE = 2_000


def fill(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Fill the column; what is there already stays, so this may be run again."""
    attempts = apps.get_model("voiceapps", "RefusedAttempt").objects
    owner = apps.get_model("voiceapps", "VoiceApplication").objects.filter(pk=OuterRef("application_id")).values("account_id")
    newest = attempts.order_by("-pk").values_list("pk", flat=True).first() or 0
    for first in range(0, newest + 1, AT_ONCE):
        some = attempts.filter(pk__gte=first, pk__lt=first + AT_ONCE, account_id="", application__isnull=False)
        some.update(account_id=Subquery(owner))


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('voiceapps', '0034_placed_calls'),
    ]

    operations = [
        migrations.AddField(
            model_name='refusedattempt',
            name='account_id',
            field=models.CharField(blank=True, db_default='', default='', max_length=16),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='refusedattempt',
            index=models.Index(fields=['account_id', 'last_at', 'id'], name='refusal_of_account'),
        ),
    ]
