"""What the running stack must show. A proof that fails raises NotProvenError: what it saw."""

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from tests.compose.stack import PAUSE, Stack

FINISHED_WITHIN = 300.0  # seconds, for one run
SEEN_WITHIN = 60.0  # seconds, until Flower has every event
DOCUMENTS = 5  # what `seed_demo` makes

# Printed as one JSON object by a container that sees the database.
ABOUT_RUN = """
import json
from django.conf import settings
from django.db import connection
from django_celery_results.models import TaskResult
from backup_tasks.models import Run
run = Run.objects.get(pk={run!r})
steps = list(run.steps.all())
results = TaskResult.objects.filter(task_id__in=[step.task_id for step in steps])
print(json.dumps({{
    "package": run.package,
    "models": run.report["models"],
    "steps": [[step.name, step.state, step.owner, step.task_id] for step in steps],
    "results": {{row.task_id: [row.status, row.worker] for row in results}},
    "database": [connection.vendor, connection.settings_dict["HOST"]],
    "broker": settings.REDIS_URL.rpartition("@")[2],
}}))
"""


class NotProvenError(Exception):
    """The stack does not do what it promises; the text says what, and what it did."""


def require(condition: bool, otherwise: str) -> None:
    """Raise NotProvenError with this text unless the condition holds."""
    if not condition:
        raise NotProvenError(otherwise)


def web_answers(stack: Stack) -> None:
    """The EDMS answers its health check from outside, and shows its login to a proxy."""
    status, body = _get(f"{stack.web}/health")
    require((status, body) == (200, "ok\n"), f"the health check answers {status} {body!r}")
    status, body = _get(f"{stack.web}/admin/login/", {"X-Forwarded-Proto": "https"})
    require(status == 200 and "csrfmiddlewaretoken" in body, f"the login answers {status}")
    static = next(part for part in body.split('"') if part.endswith(".css"))
    status, _ = _get(f"{stack.web}{static}", {"X-Forwarded-Proto": "https"})
    require(status == 200, f"the static file {static} answers {status}")


def chain_ran(stack: Stack, *command: str) -> dict[str, Any]:
    """The command, enqueued by web, ran as a chain on the worker for backups, and succeeded there
    against the stack's PostgreSQL and Redis. Return what the ledger says of it, and its `id`."""
    started = json.loads(stack.manage("web", *command, "--enqueue", "--json"))
    run = str(started["run"])
    _await(lambda: _finished(stack, run), FINISHED_WITHIN, f"run {run} did not finish")
    asked = ABOUT_RUN.format(run=run)
    about: dict[str, Any] = json.loads(stack.manage("web", "shell", "--no-imports", "-c", asked))
    host = stack.hostname("worker-backups")
    for name, state, owner, task in about["steps"]:
        require(state == "succeeded", f"step {name} of {run} is {state}")
        require(owner.startswith(f"{host}:"), f"step {name} ran on {owner}, not on {host}")
        result = about["results"].get(task)
        expected = ["SUCCESS", f"backups@{host}"]
        require(result == expected, f"Celery's result of {name} is {result}, not {expected}")
    require(about["database"] == ["postgresql", "postgres"], f"database: {about['database']}")
    require(about["broker"] == "redis:6379/0", f"broker: {about['broker']}")
    return {**about, "id": run}


def backup_is_whole(backup: dict[str, Any]) -> None:
    """The package is encrypted, and holds the documents."""
    require(backup["package"].endswith(".tar.zst.age"), f"package: {backup['package']}")
    documents = backup["models"]["documents.document"]
    require(documents["before"] == DOCUMENTS, f"documents in the backup: {documents}")


def drill_is_exact(drill: dict[str, Any], backup: dict[str, Any]) -> None:
    """The drill read that backup's package; every model came back with equal digest."""
    require(drill["package"] == backup["package"], f"the drill read {drill['package']}")
    documents = drill["models"]["documents.document"]
    require(documents["after"] == DOCUMENTS, f"documents in the drill: {documents}")
    for label, figures in drill["models"].items():
        equal = figures["digest_equal"] is True and figures["after"] == figures["expected"]
        require(equal, f"{label} after the drill: {figures}")


def flower_lists(stack: Stack, run: dict[str, Any]) -> None:
    """Flower finds exactly the run's tasks by its id; without a login it shows nothing, and with
    one it starts nothing."""
    search = f"{stack.flower}/api/tasks?search={quote('kwargs:run_id=' + run['id'])}"
    for url in (search, f"{stack.flower}/", f"{stack.flower}/tasks"):
        status, _ = _get(url)
        require(status == 401, f"Flower answers {url} with {status} without a login")
    login = b64encode(stack.secrets["flower_basic_auth"].encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    tasks = sorted(task for _, _, _, task in run["steps"])

    def missing() -> str:
        status, body = _get(search, headers)
        require(status == 200, f"Flower's API answers {status}: {body}")
        seen = json.loads(body)
        if sorted(seen) == tasks and all(task["state"] == "SUCCESS" for task in seen.values()):
            return ""
        return f"it lists {[(task['name'], task['state']) for task in seen.values()]}"

    _await(missing, SEEN_WITHIN, f"Flower does not list run {run['id']}")
    url = f"{stack.flower}/api/task/async-apply/backup_tasks.reconcile"
    status, _ = _get(url, headers, method="POST")
    require(status == 403, f"Flower answers a start of a task with {status}, not 403")


def secrets_stay_secret(stack: Stack) -> None:
    """No secret is in what the engine tells about a container (environment, command), nor in
    what it logged. A password inside a URL or a login counts on its own too."""
    values = {
        value: name
        for name, content in stack.secrets.items()
        for value in [content, *_passwords_in(content)]
    }
    logs = stack.logs()
    require(any("ready." in text for text in logs.values()), "the logs could not be read")
    for service, container in stack.containers.items():
        texts = {
            "inspect": json.dumps(stack.engine.inspect(container)),
            "environment": stack.engine.run("exec", container, "env", check=False).stdout,
            "log": logs[service],
        }
        for where, text in texts.items():
            for value, name in values.items():
                require(value not in text, f"{name} is in the {where} of {service}")


def _passwords_in(content: str) -> list[str]:
    if "://" in content:
        return [urlsplit(content).password or content]
    return [content.split()[-1].rpartition(":")[2]]


def _finished(stack: Stack, run: str) -> str:
    listed = json.loads(stack.manage("web", "runs", "--json"))["runs"]
    found = next(entry for entry in listed if entry["run"] == run)
    if found["state"] in {"failed", "cancelled"}:
        raise NotProvenError(f"run {run} {found['state']}: {found['error']}")
    return "" if found["state"] == "succeeded" else f"it is {found['state']}"


def _await(missing: Callable[[], str], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while why := missing():
        require(time.monotonic() < deadline, f"{otherwise} within {seconds:.0f} s: {why}")
        time.sleep(PAUSE)


def _get(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
