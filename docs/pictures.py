"""Takes the pictures of the documentation: `python -m docs.pictures`, from the top folder.

Starts an EDMS of its own with the demonstration data, a real worker, Redis and Flower, does what
the pictures show, and writes them to docs/pictures/. Needs chromium and chromedriver.
"""

import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docs.palette_png import with_palette
from edms.local.instance import ROOT, Instance
from edms.local.ports import free_port
from edms.local.processes import Child, start, stopping_on_signals
from edms.local.redis import private_redis
from tests.acceptance.admin_browser import Browser, browser, flower, web_server
from tests.acceptance.edms_browser import Person

FOLDER = Path(__file__).parent / "pictures"
TALLEST = 1800
"""Pixels; what is below is more of the same."""

WINDOWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "": ({}, ("home", "run", "runs", "packages", "restore", "flower")),
    "-dark": ({"dark": True}, ("restore",)),
    "-phone": ({"width": 390, "height": 844}, ("home", "run")),
}
"""Which windows there are, by what the names of their pictures end in, and what each shows."""

EDMS_WINDOWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "": (
        {"width": 1100},
        ("sign-in", "dashboard", "documents", "document", "effective", "upload", "new"),
    ),
    "-dark": ({"width": 1100, "dark": True}, ("dashboard",)),
    "-phone": ({"width": 390, "height": 844}, ("document",)),
}
"""The same for the pages of the EDMS."""

EDMS_PAGES = {
    "sign-in": ("", "/login/"),
    "dashboard": ("ben", "/"),
    "documents": ("ben", "/documents/?q=control&department=QA"),
    "document": ("ben", "/documents/SOP-2026-0001/"),
    "effective": ("dan", "/documents/SOP-2025-0001/"),
    "upload": ("eva", "/documents/POL-2026-0001/"),
    "new": ("ada", "/documents/new/?supersedes=SOP-2025-0001"),
}
"""Who looks at which page; nobody is signed in where there is no name."""

HOME = "/admin/backup_tasks/"
RUNS = "/admin/backup_tasks/run/"
PACKAGES = "/admin/backup_tasks/package/"


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    password = secrets.token_urlsafe()
    with stopping_on_signals(), _edms(password) as site:
        for suffix, (options, pictures) in EDMS_WINDOWS.items():
            with browser(site, **options) as window:
                for picture in pictures:
                    _take_page(window, *EDMS_PAGES[picture], f"edms-{picture}{suffix}")
        with browser(site) as desk:
            desk.sign_in("admin", password)
            run = _back_up_and_restore(desk)
            _until_beat_is_heard_of(desk)
        for suffix, (options, pictures) in WINDOWS.items():
            with browser(site, **options) as window:
                window.sign_in("admin", password)
                paths = {
                    "home": HOME,
                    "run": run,
                    "runs": RUNS,
                    "packages": PACKAGES,
                    "restore": _restore(window),
                }
                for picture in pictures:
                    if picture in paths:
                        _take(window, paths[picture], f"{picture}{suffix}")
                    else:
                        _take_flower(window, run)


def _restore(window: Browser) -> str:
    """Return the path of the page that asks before a restore."""
    window.open(PACKAGES)
    window.press("#result_list tbody th a")
    window.press("#backup-restore")
    return window.path()


@contextmanager
def _edms(password: str) -> Iterator[str]:
    """An EDMS in a folder that is removed afterwards; gives its address."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        redis_url, _ = stack.enter_context(private_redis(folder / "redis"))
        port = free_port()
        instance = Instance(
            folder=folder,
            redis_url=redis_url,
            variables={
                "EDMS_ADMIN_PASSWORD": password,
                "FLOWER_URL": f"http://127.0.0.1:{port}",
            },
        )
        for command in (("migrate", "--no-input"), ("seed_demo",)):
            instance.manage(*command).check_returncode()
        stack.enter_context(instance.worker(queues="backups,celery"))
        stack.callback(_beat(instance).stop)
        stack.enter_context(flower(instance, port))
        yield stack.enter_context(web_server(instance))


def _beat(instance: Instance) -> Child:
    """Celery's beat: without it the home page warns, and is right."""
    return start(
        "beat",
        [
            *(sys.executable, "-m", "celery", "-A", "edms", "beat"),
            *("--schedule", str(instance.folder / "beat"), "--pidfile="),
        ],
        log=instance.folder / "beat.log",
        env=instance.env,
        cwd=ROOT,
    )


def _until_beat_is_heard_of(desk: Browser) -> None:
    def is_ok() -> bool:
        desk.open(HOME)
        return "OK" in desk.text("#backup-light")

    desk.until(is_ok, "beat has had a minute")


def _back_up_and_restore(desk: Browser) -> str:
    """Do what the pictures show; return the path of the restore's page."""
    for _ in range(3):  # charts want something to compare
        desk.open(RUNS)
        desk.press("#backup-now")
        _until_succeeded(desk)
    desk.open(PACKAGES)
    desk.press("#result_list tbody th a")
    desk.press("#backup-drill")
    _until_succeeded(desk)
    desk.open(PACKAGES)
    desk.press("#result_list tbody th a")
    desk.press("#backup-restore")
    desk.find("#id_typed").send_keys(desk.text("#backup-expected"))
    desk.press("#backup-confirm")
    _until_succeeded(desk)
    return desk.path()


def _until_succeeded(desk: Browser) -> None:
    desk.until(lambda: desk.has('#backup-live[data-active="no"]'), "the run has ended")
    if "succeeded" not in desk.text(".backup-lead"):
        raise SystemExit(desk.text())


def _take_page(window: Browser, user: str, path: str, name: str) -> None:
    """Write the picture of a page of the EDMS, as somebody sees it."""
    person = Person(browser=window.driver, address=window.site)
    if user:
        person.sign_in(user)
    person.open(path)
    script = "return Math.ceil(document.querySelector('.foot').getBoundingClientRect().bottom)"
    _shoot(window, name, int(window.driver.execute_script(script)))


def _take(window: Browser, path: str, name: str) -> None:
    """Write the picture of a page of the admin, as tall as what is on it."""
    window.open(path)
    window.find("#content-main")
    window.until(lambda: "is being asked" not in window.text(), "all have answered")
    script = "const box = document.getElementById('content').getBoundingClientRect();"
    height = window.driver.execute_script(f"{script} return Math.ceil(box.bottom) + 24")
    _shoot(window, name, min(int(height), TALLEST))


def _take_flower(window: Browser, run: str) -> None:
    window.open(run)
    window.driver.get(str(window.find("#backup-flower").get_attribute("href")))
    window.until(lambda: "filtered" in window.text("#tasks-table_info"), "Flower has searched")
    _shoot(window, "flower", 760)


def _shoot(window: Browser, name: str, height: int) -> None:
    picture = FOLDER / f"{name}.png"
    window.shoot(picture, height=height)
    picture.write_bytes(with_palette(window.driver, picture.read_bytes()))


if __name__ == "__main__":
    main()
