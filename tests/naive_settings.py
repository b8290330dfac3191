"""The EDMS as a project without time zones: datetimes are naive, in a zone with summer time."""

from edms.settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "Europe/Berlin"
