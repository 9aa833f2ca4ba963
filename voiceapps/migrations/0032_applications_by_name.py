from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("voiceapps", "0031_call_policy")]

    operations = [
        migrations.AddIndex("voiceapplication", models.Index(fields=["name", "application_id"], name="application_by_name")),
    ]
