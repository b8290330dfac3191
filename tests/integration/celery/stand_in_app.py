"""The Celery app that the workers of these tests run: the EDMS's own, with verbs that a test can
hold, let fail and count. Only worker processes import it.

Beside the workspaces lie the files through which a test and the verbs talk, see `stage.py`.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from edms.celery import app

django.setup()

from backup_tasks import errors  # noqa: E402 - Django must be set up first
from backup_tasks.runs import chains, execution  # noqa: E402
from backup_tasks.steps import Work  # noqa: E402

CHOICES: dict[str, Any] = json.loads(os.environ["STAND_IN"])
"""`transport`: options of the broker's transport; `lease`: seconds; `celery`: other settings."""

settings.BACKUP["LEASE"] = timedelta(seconds=CHOICES["lease"])
app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    **CHOICES["transport"],
}
app.conf.update(CHOICES.get("celery", {}))
execution.RETRY = execution.Retry(times=3, first=0.2)


def _verb_of(step: str) -> Callable[[Work], dict[str, Any]]:
    def verb(work: Work) -> dict[str, Any]:
        stage = work.workspace.parent
        _note(stage, work, step, "begin")
        while (stage / f"hold-{step}").exists():
            work.progress(1, 2, "held")
            work.still_mine()
            time.sleep(0.1)
        _fail_if_asked(stage / f"fail-{step}")
        _note(stage, work, step, "end")
        return {"package": "stand-in.tar"} if step == "pack" else {}

    return verb


def _note(stage: Path, work: Work, step: str, what: str) -> None:
    line = json.dumps({"run": work.run_id, "step": step, "what": what, "pid": os.getpid()})
    with (stage / "executions").open("a") as notes:
        notes.write(line + "\n")


def _fail_if_asked(asked: Path) -> None:
    """The file names an error class and how many times it is still to be raised."""
    if not asked.exists():
        return
    kind, left = asked.read_text().split()
    if int(left):
        asked.write_text(f"{kind} {int(left) - 1}")
        raise getattr(errors, kind)("as the test asked", obj="stand-in", hint="None needed.")


for _step in {step for steps in chains.CHAINS.values() for step in steps}:
    execution.VERBS[_step] = _verb_of(_step)
