from django.db import migrations, models


def mark_deleted(apps, _schema_editor):
    apps.get_model("voiceapps", "Recording").objects.filter(path="").update(status="deleted")


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0018_deleted_recordings'),
    ]

    operations = [
        migrations.AddField(
            model_name='recording',
            name='status',
            field=models.CharField(choices=[('processing', 'processing'), ('complete', 'complete'), ('partial', 'partial: its node was lost'), ('error', 'error: nothing was written'), ('deleted', 'deleted')], default='complete', max_length=10),
        ),
        migrations.RunPython(mark_deleted, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name='recording',
            name='duration_ms',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='recording',
            name='ended_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='recording',
            index=models.Index(condition=models.Q(('status', 'processing')), fields=['started_at'], name='open_recording'),
        ),
    ]
