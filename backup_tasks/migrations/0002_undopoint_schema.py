from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("backup_tasks", "0001_initial")]

    operations = [
        migrations.RenameField(model_name="undopoint", old_name="place", new_name="schema"),
    ]
