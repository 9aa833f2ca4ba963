"""Sign the ends of the audit chains as they are now, and count the chains; nobody can tell what was done to them before."""

import hmac

from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

BATCH_ROWS = 1_000


def sign(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Sign each end, and the number of the chains."""
    model = apps.get_model("voiceapps", "AuditChain")
    key = hmac.digest(settings.SIPURI_FIELD_KEYS[0].encode(), b"audit chain ends", "sha256")
    ends = list(model.objects.filter(number__gt=0))
    register = model(chain="chains", number=len(ends))
    for end in (*ends, register):
        end.signature = hmac.digest(key, f"{end.chain}\n{end.number}\n{end.digest}".encode(), "sha256").hex()
    model.objects.bulk_update(ends, ["signature"], batch_size=BATCH_ROWS)
    if ends:
        register.save(force_insert=True)


def forget_number(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Remove the row that is no chain."""
    apps.get_model("voiceapps", "AuditChain").objects.filter(chain="chains").delete()


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0011_wanted_state'),
    ]

    operations = [
        migrations.AddField(
            model_name='auditchain',
            name='signature',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.RunPython(sign, forget_number),
    ]
