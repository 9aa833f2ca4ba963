"""Indexes for the lists of webhooks, recordings, transcriptions and simulated calls, in the place of those that no query used."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0032_applications_by_name'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='callsimulation',
            index=models.Index(fields=['created_at', 'simulation_id'], name='simulation_by_time'),
        ),
        migrations.AddIndex(
            model_name='recording',
            index=models.Index(fields=['started_at', 'recording_id'], name='recording_by_time'),
        ),
        migrations.AddIndex(
            model_name='transcription',
            index=models.Index(fields=['ordered_at', 'transcription_id'], name='transcription_by_time'),
        ),
        migrations.AddIndex(
            model_name='transcription',
            index=models.Index(fields=['account', 'ordered_at', 'transcription_id'], name='transcription_page'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['call', 'created_at', 'delivery_id'], name='delivery_of_call'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['created_at', 'delivery_id'], name='delivery_by_time'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['created_at', 'delivery_id'], name='delivery_pending'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['created_at', 'delivery_id'], name='delivery_failed'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['account', 'created_at', 'delivery_id'], name='delivery_failed_of'),
        ),
        # On PostgreSQL Django takes each index of the column for the one to drop, so the constraint would go with it.
        migrations.RemoveConstraint(
            model_name='webhookdelivery',
            name='one_disconnect_per_call',
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='voiceapps.account'),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='call',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='webhooks', to='voiceapps.call'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.UniqueConstraint(condition=models.Q(('event_type', 'disconnect')), fields=('call',), name='one_disconnect_per_call'),
        ),
    ]
