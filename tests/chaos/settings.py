"""A project as small as one can be that has rows, references between them, and files."""

from datetime import timedelta

from edms import environment

SECRET_KEY = "for-this-test-only"
INSTALLED_APPS = ["django.contrib.contenttypes", "backup_tasks", "tests.chaos.shelf"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {"default": environment.database(environment.text("DATABASE_URL"))}
MEDIA_ROOT = environment.text("MEDIA_ROOT")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "backups": environment.store(environment.text("BACKUP_STORE")),
}
BACKUP = {
    "WORKSPACE": environment.text("BACKUP_WORKSPACE"),
    "SEED": "tests.chaos.shelf.content.seed",
    # What was replaced may go at the next prune: hundreds of restores are made here.
    "UNDO_FOR": timedelta(microseconds=1),
}
if _archive := environment.text("ARCHIVE_URL"):
    DATABASES["archive"] = environment.database(_archive)
    BACKUP["DATABASES"] = ["default", "archive"]
