"""Settings of an EDMS with a second database, `archive`, which is the one that is backed up."""

from edms import environment
from edms.settings import *  # noqa: F403  # settings are made of settings
from edms.settings import BACKUP, DATABASES

DATABASES = {**DATABASES, "archive": environment.database(environment.secret("ARCHIVE_URL"))}
BACKUP = {**BACKUP, "DATABASE": "archive"}
