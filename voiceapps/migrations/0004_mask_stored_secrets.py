"""Mask what rows of an older release show of URLs: a delivery that may still be sent keeps its own URL encrypted."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Q

from voiceapps.rules.masking import masked_text, masked_url

BATCH = 500
LONGEST_URL = 2048


def mask(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Mask the webhooks and the ends of calls; masking a masked text changes nothing, so this may be run again."""
    mask_deliveries(apps.get_model("voiceapps", "WebhookDelivery"))
    mask_attempts(apps.get_model("voiceapps", "WebhookAttempt"))
    calls = apps.get_model("voiceapps", "Call")
    for call in calls.objects.filter(error_message__contains="://").only("error_message").iterator(BATCH):
        calls.objects.filter(pk=call.pk).update(error_message=masked_text(call.error_message))


def mask_deliveries(deliveries: Any) -> None:
    """Mask each URL, of which the whole moves to `target`, and the sentence about a call's end."""
    for delivery in deliveries.objects.filter(has_secrets(), target="").iterator(BATCH):
        shown = masked_url(delivery.url)
        if shown != delivery.url:
            deliveries.objects.filter(pk=delivery.pk).update(url=shown[:LONGEST_URL], target=delivery.url)
    for delivery in deliveries.objects.filter(event_type="disconnect").iterator(BATCH):
        sentence = delivery.body.get("errorMessage")
        if sentence and masked_text(sentence) != sentence:
            deliveries.objects.filter(pk=delivery.pk).update(body={**delivery.body, "errorMessage": masked_text(sentence)})


def mask_attempts(attempts: Any) -> None:
    """Mask the URL of each attempt, and the document that was its answer."""
    for attempt in attempts.objects.filter(has_secrets() | ~Q(response_body="")).iterator(BATCH):
        url, document = masked_url(attempt.url)[:LONGEST_URL], masked_text(attempt.response_body)
        if (url, document) != (attempt.url, attempt.response_body):
            attempts.objects.filter(pk=attempt.pk).update(url=url, response_body=document)


def has_secrets() -> Q:
    """Return the condition that a URL has a part which is masked."""
    return Q(url__contains="?") | Q(url__contains="@") | Q(url__contains="#")


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0003_masked_urls'),
    ]

    operations = [
        # A step back leaves the rows masked.
        migrations.RunPython(mask, migrations.RunPython.noop),
    ]
