from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backup_tasks", "0007_download_package"),
    ]

    operations = [
        migrations.AddField(
            model_name="undopoint",
            name="databases",
            field=models.JSONField(
                default=list,
                help_text="Further databases that were replaced: see restore/further_databases.py.",
            ),
        ),
    ]
