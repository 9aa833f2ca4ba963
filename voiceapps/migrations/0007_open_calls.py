"""Calls that are up get a table of their own, and nodes the name of their present life."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

AT_ONCE = 1_000


def open_what_is_up(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Copy what limits and sweeps need of the calls that have not ended."""
    up = apps.get_model("voiceapps", "Call").objects.exclude(state="disconnected")
    columns = ("call_id", "account_id", "application_id", "started_at", "proxy_node", "callflow_node")
    open_call = apps.get_model("voiceapps", "OpenCall")
    rows = [open_call(**row) for row in up.values(*columns).iterator(chunk_size=AT_ONCE)]
    open_call.objects.bulk_create(rows, batch_size=AT_ONCE)


class Migration(migrations.Migration):
    dependencies = [("voiceapps", "0006_record_marks")]

    operations = [
        migrations.CreateModel(
            name="OpenCall",
            fields=[
                ("call_id", models.CharField(max_length=47, primary_key=True, serialize=False)),
                ("account_id", models.CharField(max_length=16)),
                ("application_id", models.UUIDField(null=True)),
                ("started_at", models.DateTimeField()),
                ("proxy_node", models.CharField(blank=True, max_length=200)),
                ("proxy_boot", models.CharField(blank=True, max_length=32)),
                ("callflow_node", models.CharField(blank=True, max_length=200)),
                ("callflow_boot", models.CharField(blank=True, max_length=32)),
            ],
        ),
        migrations.AddIndex("opencall", models.Index(fields=["account_id", "application_id"], name="open_call")),
        migrations.RunPython(open_what_is_up, migrations.RunPython.noop),
        migrations.RemoveIndex("call", "live_call"),
        migrations.AddField(
            "node",
            "boot",
            models.CharField(blank=True, db_default="", default="", help_text="Its present life; another one has ended.", max_length=32),
        ),
    ]
