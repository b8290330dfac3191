"""System checks: they report what is wrong with a project's settings before it is backed up.

E001  settings.BACKUP can't be read
E002  a setting has a value of the wrong kind
E003  a folder of files, and the store, workspace, database or project lie within one another
E004  FILE_STORAGES names no storage
E005  NATURAL_KEYS, COLUMN_GROUPS or KEY_COLUMNS names an unknown model or field
E006  EXCLUDE names an unknown app or model
E007  SEED or CHECKS can't be imported or called
E008  the database is not supported
E009  a folder of UNDO_FILES can't have the run folders of its storage
W001  a key file is missing, or others can read it
W002  SQLite is not in WAL mode (with `--database` only)
W003  a file field keeps its files in a storage that is not backed up
W004  a database of the project is not backed up
W005  NATURAL_KEYS names a model that has natural_key_fields of its own
W006  a storage keeps the whole of a file that is read in memory
W007  packages, files or the workspace are among installed code
W008  a restore could not be built (with `--database` only)
W009  a recipient, a trusted key or the content of a key file is no key
W010  encryption is required, and there is nobody to encrypt to
W011  alerts would not be sent, or could wait without end
I001  models have no natural key
I002  packages are encrypted, but nobody signs them
"""

from __future__ import annotations

from django.core.checks import Tags, register

from backup_tasks.checks.alerts import check_alerts
from backup_tasks.checks.locations import (
    check_engine,
    check_file_fields,
    check_folders,
    check_keys,
    check_memory,
    check_perishable,
    check_staging,
    check_undo_files,
    check_wal,
)
from backup_tasks.checks.names import (
    check_hooks,
    check_names,
    check_natural_keys,
    check_other_databases,
)
from backup_tasks.checks.settings import check_settings, with_sound_settings


def register_checks() -> None:
    """Let Django run the checks; called once, when the app is ready."""
    for check in (
        check_settings,
        check_folders,
        check_undo_files,
        check_perishable,
        check_names,
        check_hooks,
        check_engine,
        check_keys,
        check_memory,
        check_file_fields,
        check_other_databases,
        check_natural_keys,
        with_sound_settings(check_alerts),
    ):
        register(check, "backup_tasks")
    register(check_wal, Tags.database)
    register(check_staging, Tags.database)
