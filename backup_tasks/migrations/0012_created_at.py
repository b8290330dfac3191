"""The newest runs and packages are found without sorting all."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds an index on the time of each run and of each package."""

    dependencies: ClassVar = [("backup_tasks", "0011_upload_package")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["created_at"], name="backup_run_created"),
        ),
        migrations.AddIndex(
            model_name="package",
            index=models.Index(fields=["created_at"], name="backup_package_created"),
        ),
    ]
