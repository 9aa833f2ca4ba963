"""Refused attempts get a key by which they are written, and a shorter trace; new accounts get limits. What rows say stays as it is."""

import json
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import voiceapps.fields

BATCH = 1_000


def shorten(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Write each trace in its short form."""
    field = voiceapps.fields.TraceField()
    _convert(apps, editor, "long_trace", "trace", field.get_prep_value)


def lengthen(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Write each trace in its long form."""
    _convert(apps, editor, "trace", "long_trace", json.dumps)


def _convert(apps: StateApps, editor: BaseDatabaseSchemaEditor, old: str, new: str, stored: Any) -> None:
    model = apps.get_model("voiceapps", "RefusedAttempt")
    statement = f"UPDATE {model._meta.db_table} SET {new} = %s WHERE id = %s"
    last = 0
    while rows := list(model.objects.filter(pk__gt=last).order_by("pk").values_list("pk", old)[:BATCH]):
        with editor.connection.cursor() as cursor:
            cursor.executemany(statement, [(stored(trace), pk) for pk, trace in rows])
        last = rows[-1][0]


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0007_open_calls'),
    ]

    operations = [
        migrations.AddField(
            model_name='refusedattempt',
            name='key',
            field=models.BinaryField(max_length=16, null=True, unique=True),
        ),
        migrations.AlterField(
            model_name='refusedattempt',
            name='application',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='refusals', to='voiceapps.voiceapplication'),
        ),
        migrations.AlterField(
            model_name='refusedattempt',
            name='source_ip',
            field=models.GenericIPAddressField(null=True, protocol='IPv4'),
        ),
        migrations.RenameField(
            model_name='refusedattempt',
            old_name='trace',
            new_name='long_trace',
        ),
        migrations.AlterField(
            model_name='refusedattempt',
            name='long_trace',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='refusedattempt',
            name='trace',
            field=voiceapps.fields.TraceField(default=list),
            preserve_default=False,
        ),
        migrations.RunPython(shorten, lengthen),
        migrations.RemoveField(
            model_name='refusedattempt',
            name='long_trace',
        ),
        # Of these Django alone knows the default: no row changes.
        migrations.AlterField(
            model_name='account',
            name='max_calls',
            field=models.PositiveIntegerField(blank=True, default=100, help_text='Empty: no limit.', null=True, verbose_name='concurrent calls, at most'),
        ),
        migrations.AlterField(
            model_name='account',
            name='max_calls_per_second',
            field=models.PositiveIntegerField(blank=True, default=5, help_text='Empty: no limit.', null=True, verbose_name='new calls a second, at most'),
        ),
        migrations.AlterField(
            model_name='account',
            name='max_applications',
            field=models.PositiveIntegerField(blank=True, help_text='Empty: no limit.', null=True, verbose_name='voice applications, at most'),
        ),
    ]
