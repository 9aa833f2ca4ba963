"""Encrypt the answers that are kept for repeated requests: the callback URLs in them may carry credentials."""

import json

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import voiceapps.fields


def encrypt(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Move each body into its encrypted column."""
    answers = apps.get_model("voiceapps", "IdempotentAnswer").objects
    for answer in answers.iterator():
        answers.filter(pk=answer.pk).update(document=json.dumps(answer.body))


def decrypt(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Move each body back."""
    answers = apps.get_model("voiceapps", "IdempotentAnswer").objects
    for answer in answers.iterator():
        answers.filter(pk=answer.pk).update(body=json.loads(answer.document))


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0004_mask_stored_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='idempotentanswer',
            name='document',
            field=voiceapps.fields.EncryptedTextField(blank=True, db_default=''),
        ),
        migrations.AlterField(
            model_name='idempotentanswer',
            name='body',
            field=models.JSONField(default=dict),
        ),
        migrations.RunPython(encrypt, decrypt),
        migrations.RemoveField(
            model_name='idempotentanswer',
            name='body',
        ),
    ]
