"""The verdict and the number of each call, with indexes for the list of calls, and what operators keep of that list."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0026_trusted_ranges'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CallExport',
            fields=[
                ('export_id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('operator', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('query', models.CharField(blank=True, max_length=2048)),
                ('file_format', models.CharField(choices=[('csv', 'CSV'), ('jsonl', 'JSON lines')], max_length=5)),
                ('shows_personal', models.BooleanField()),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('running', 'running'), ('ended', 'ended'), ('failed', 'failed')], default='waiting', max_length=7)),
                ('rows', models.PositiveIntegerField(default=0)),
                ('problem', models.TextField(blank=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('leased_until', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='CallVerdict',
            fields=[
                ('call', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='verdict', serialize=False, to='voiceapps.call')),
                ('code', models.CharField(choices=[('heard', 'heard'), ('unmeasured', 'unmeasured'), ('short', 'short'), ('poor_audio', 'poor audio'), ('caller_unheard', 'caller unheard'), ('caller_deaf', 'caller deaf'), ('no_audio', 'no audio'), ('cancelled', 'cancelled'), ('rejected', 'rejected'), ('webhook_failed', 'webhook failed'), ('invalid_bxml', 'invalid bxml'), ('application_failed', 'application failed'), ('target_refused', 'target refused'), ('no_callflow', 'no callflow'), ('no_relay', 'no relay'), ('no_capacity', 'no capacity'), ('node_lost', 'node lost'), ('internal_error', 'internal error'), ('media_refused', 'media refused'), ('unacknowledged', 'unacknowledged'), ('media_lost', 'media lost'), ('caller_lost', 'caller lost')], max_length=20, verbose_name='verdict')),
                ('account_id', models.CharField(max_length=16)),
                ('application_id', models.UUIDField(null=True)),
                ('started_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='SavedFilter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('operator', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('page', models.CharField(max_length=16)),
                ('name', models.CharField(max_length=60)),
                ('query', models.CharField(blank=True, max_length=2048)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='call',
            name='call_of_application',
        ),
        migrations.RemoveIndex(
            model_name='call',
            name='call_by_sip_call_id',
        ),
        migrations.AddField(
            model_name='call',
            name='from_number',
            field=models.CharField(blank=True, db_default='', default='', max_length=32, verbose_name='number'),
        ),
        migrations.AlterField(
            model_name='call',
            name='started_at',
            field=models.DateTimeField(),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['application', 'started_at', 'call_id'], name='call_of_application'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['sip_call_id', 'started_at', 'call_id'], name='call_by_sip_call_id'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['from_number', 'started_at', 'call_id'], name='call_by_number'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['source_ip', 'started_at', 'call_id'], name='call_by_source'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['started_at', 'call_id'], name='call_by_time'),
        ),
        migrations.AddIndex(
            model_name='callverdict',
            index=models.Index(fields=['code', 'started_at', 'call'], name='verdict_page'),
        ),
        migrations.AddIndex(
            model_name='callverdict',
            index=models.Index(fields=['account_id', 'code', 'started_at', 'call'], name='verdict_of_account'),
        ),
        migrations.AddIndex(
            model_name='callverdict',
            index=models.Index(fields=['application_id', 'code', 'started_at', 'call'], name='verdict_of_application'),
        ),
        migrations.AddConstraint(
            model_name='savedfilter',
            constraint=models.UniqueConstraint(fields=('operator', 'page', 'name'), name='one_filter_of_a_name'),
        ),
    ]
