"""The list of the audit trail counts entries, not trails."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Names more than one audit entry."""

    dependencies: ClassVar = [("backup_tasks", "0008_undopoint_databases")]

    operations: ClassVar = [
        migrations.AlterModelOptions(
            name="auditentry",
            options={"ordering": ["-position"], "verbose_name_plural": "audit entries"},
        ),
    ]
