#!/usr/bin/env bash
# celery 5.7.0: a task with send_events = False is seen by monitors all the same, as one that never begins.
#
# A task class with send_events = False sends none of the events of the worker: received, started, succeeded.
# Where task_send_sent_event is on, which Celery's guide to monitoring asks for, whoever sends the task
# publishes its task-sent event all the same: that setting is looked at for the whole app, never for the task. So
# a monitor, such as Flower, lists the task that was to be left out, and shows it PENDING for ever, also after
# it has succeeded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check celery==5.7.0 kombu==5.7.0
{
    "$folder/venv/bin/python" - <<'PYTHON'
import threading

from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.events.state import State

app = Celery("app", broker="memory://", backend="cache+memory://")
app.conf.update(task_send_sent_event=True, worker_send_task_events=True)


@app.task(send_events=False)
def unwatched():
    return "done"


@app.task
def watched():
    return "done"


state, seen, ended = State(), {}, threading.Event()


def look(event):
    state.event(event)
    if event["type"].startswith("task-"):
        seen.setdefault(event["uuid"], []).append(event["type"])
        if event["type"] == "task-succeeded":
            ended.set()


with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": look})
        threading.Thread(target=receiver.capture, daemon=True).start()
        while not app.control.inspect(timeout=0.1).ping():
            pass
        results = {task: task.delay() for task in (unwatched, watched)}
        for result in results.values():
            result.get(timeout=30)
        assert ended.wait(30)  # of the task that was sent last
        for task, result in results.items():
            print(task.name.rpartition(".")[2], result.state)
            print("  events:", *sorted(seen[result.id]))
            print("  a monitor's state:", state.tasks[result.id].state)
PYTHON
} >"$folder/seen" 2>"$folder/log" || { cat "$folder/log"; exit 1; }

diff - "$folder/seen" <<'SEEN'
unwatched SUCCESS
  events: task-sent
  a monitor's state: PENDING
watched SUCCESS
  events: task-received task-sent task-started task-succeeded
  a monitor's state: SUCCESS
SEEN
echo "as stated"
