from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('voiceapps', '0012_signed_audit_ends'),
    ]

    operations = [
        migrations.AddField(
            model_name='voiceapplication',
            name='mask_digits',
            field=models.BooleanField(db_default=False, default=False, verbose_name='digits masked in what is stored'),
        ),
    ]
