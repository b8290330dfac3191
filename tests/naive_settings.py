"""The EDMS as a project without time zones: datetimes are naive, in a zone with summer time."""

import os

from edms.settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = os.environ.get("TEST_TIME_ZONE", "Europe/Berlin")
