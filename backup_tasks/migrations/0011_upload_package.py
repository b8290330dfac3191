"""Uploading a package is a permission of its own."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Adds `upload_package`."""

    dependencies: ClassVar = [("backup_tasks", "0010_approval_request")]

    operations: ClassVar = [
        migrations.AlterModelOptions(
            name="package",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("download_package", "Can download packages"),
                    ("upload_package", "Can upload packages"),
                ],
            },
        ),
    ]
