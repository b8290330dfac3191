"""The admin as its operator meets it: in a browser, with a worker, Redis and Flower behind it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from edms.local.ports import free_port
from edms.local.processes import Child
from edms.local.redis import private_redis
from tests.acceptance.admin_browser import Browser, barriers, browser, flower, web_server
from tests.services import MakeProject, Project, given

PASSWORD = "of-this-test-only-1234"
WIDE: dict[str, Any] = {}
DARK: dict[str, Any] = {"dark": True}
PHONE: dict[str, Any] = {"width": 390, "height": 844}

available = contextmanager(given)
"""A service for a `with` block; where there is none, the test is skipped, or fails on CI."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running EDMS with an administrator."""

    project: Project
    address: str
    worker: Child


@pytest.fixture
def site(make_project: MakeProject, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        redis_url, _ = stack.enter_context(available(private_redis(tmp_path / "redis")))
        port = free_port()
        project = make_project(
            "sqlite",
            demo=True,
            redis_url=redis_url,
            variables={"FLOWER_URL": f"http://127.0.0.1:{port}"},
        )
        set_password(project)
        stack.enter_context(flower(project, port))
        yield Site(
            project=project,
            address=stack.enter_context(web_server(project)),
            worker=stack.enter_context(project.worker()),
        )


def set_password(project: Project) -> None:
    """Let `admin` sign in."""
    admins = "M['users.user'].objects.filter(username='admin')"
    project.evaluate(f"[u.set_password({PASSWORD!r}) or u.save() for u in {admins}]")


@pytest.fixture
def operator(site: Site) -> Iterator[Browser]:
    """Somebody who may do everything, at a desk."""
    with available(browser(site.address)) as window:
        window.sign_in("admin", PASSWORD)
        yield window


def until_ended(operator: Browser) -> str:
    """Wait, without touching the page, until it says that the run has ended; return that."""
    operator.until(lambda: operator.has('#backup-live[data-active="no"]'), "the run has ended")
    return operator.text(".backup-lead")


def titles(site: Site) -> list[str]:
    """The titles of the documents in live."""
    documents = "M['documents.document'].objects.order_by('pk')"
    found: list[str] = site.project.evaluate(f"list({documents}.values_list('title', flat=True))")
    return found


def test_an_operator_backs_up_restores_and_undoes_without_a_terminal(
    operator: Browser, site: Site
) -> None:
    operator.open("/admin/backup_tasks/run/")
    operator.press("#backup-now")
    assert "every row and file is what its manifest says" in until_ended(operator)
    in_flower = operator.find("#backup-flower").get_attribute("href")

    before = titles(site)
    site.project.evaluate("M['documents.document'].objects.update(title='overwritten')")

    operator.open("/admin/backup_tasks/package/")
    operator.press("#result_list tbody th a")
    operator.press("#backup-restore")
    operator.find("#id_typed").send_keys("restore it")
    operator.press("#backup-confirm")
    assert "nothing was started" in operator.text(".errorlist")
    operator.find("#id_typed").clear()
    operator.find("#id_typed").send_keys(operator.text("#backup-expected"))
    operator.press("#backup-confirm")
    assert "proven equal" in until_ended(operator)
    assert titles(site) == before

    operator.press("#backup-undo")
    operator.find("#id_typed").send_keys(operator.text("#backup-expected"), Keys.ENTER)
    assert "is live again" in until_ended(operator)
    assert titles(site) == ["overwritten"] * 5

    assert console_errors(operator) == []
    assert in_flower is not None
    assert tasks_shown(operator, in_flower) == {
        "backup_tasks.snapshot", "backup_tasks.dump", "backup_tasks.pack",
        "backup_tasks.verify", "backup_tasks.fit", "backup_tasks.prune",
    }  # fmt: skip


def tasks_shown(operator: Browser, url: str) -> set[str]:
    """The names of the tasks that Flower's page lists."""
    operator.driver.get(url)
    rows = "#tasks-table tbody tr td:first-child"
    operator.until(
        lambda: "filtered from" in operator.text("#tasks-table_info"), "Flower has searched"
    )
    return {row.text for row in operator.driver.find_elements("css selector", rows)}


def console_errors(operator: Browser) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = operator.driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium's
    severe = [entry for entry in log if entry["level"] == "SEVERE"]
    return [entry for entry in severe if "favicon" not in entry["message"]]  # the EDMS has none


def test_a_page_follows_its_run_and_keeps_what_the_operator_has_open(
    operator: Browser, site: Site
) -> None:
    site.worker.stop()  # so that the run waits
    operator.open("/admin/backup_tasks/run/")
    operator.press("#backup-now")
    assert "Waiting for a worker." in operator.text(".backup-lead")
    operator.click("#backup-cancel-summary")

    first = operator.find("#backup-live")
    operator.until(lambda: operator.find("#backup-live") != first, "the page was read again")

    assert operator.find("#backup-cancel-button").is_displayed()
    assert operator.driver.switch_to.active_element.get_attribute("id") == "backup-cancel-summary"

    operator.press("#backup-cancel-button")
    assert "Cancelled." in until_ended(operator)


def test_a_page_that_can_not_reach_its_server_says_so(make_project: MakeProject) -> None:
    project = make_project("sqlite", demo=True)
    set_password(project)
    run_id = project.json("create_backup")["run"]
    project.evaluate(f"M['backup_tasks.run'].objects.filter(pk={run_id!r}).update(state='running')")
    server = ExitStack()
    with server, available(browser(server.enter_context(web_server(project)))) as operator:
        operator.sign_in("admin", PASSWORD)
        operator.open(f"/admin/backup_tasks/run/{run_id}/change/")
        assert not operator.find("#backup-trouble").is_displayed()

        server.close()

        operator.until(lambda: operator.find("#backup-trouble").is_displayed(), "it says so")


LISTS = ("run", "step", "package", "undopoint", "auditentry", "approvalrequest")


@pytest.fixture
def pages(operator: Browser, site: Site) -> list[str]:
    """The paths of pages of every kind, with something on them."""
    done = site.project.json("create_backup")
    package = done["package"]
    assert site.project.json("restore_from_package", package, "--confirm")["ok"]
    failed = site.project.json("drill_restore", "nowhere.tar.zst")["run"]
    preview = site.project.json("prune_packages", "--dry-run")["run"]
    key = site.project.evaluate(f"M['backup_tasks.package'].objects.get(name={package!r}).pk")
    steps = f"M['backup_tasks.step'].objects.filter(run={failed!r})"
    step = site.project.evaluate(f"{steps}.first().pk")
    base = "/admin/backup_tasks"
    return [
        f"{base}/",
        *(f"{base}/{name}/" for name in LISTS),
        f"{base}/run/{done['run']}/change/",
        f"{base}/run/{failed}/change/",
        f"{base}/run/{preview}/change/",
        f"{base}/run/back-up-with/",
        f"{base}/run/reset/",
        f"{base}/step/{step}/change/",
        f"{base}/package/{key}/change/",
        f"{base}/package/{key}/look/",
        f"{base}/package/{key}/look/rows/?model=documents.Document",
        f"{base}/package/{key}/look/files/",
        f"{base}/package/{key}/restore/",
        f"{base}/undopoint/undo/",
    ]


CONTRASTS = """
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const backdrop = (node) => {
    for (; node; node = node.parentElement) {
        const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
        if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
};
return [...document.querySelectorAll(".backup-page *, .backup-state, .backup-box *")]
    .filter((node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim()))
    .filter((node) => node.offsetParent && !node.closest("option, noscript"))
    .map((node) => {
        const [a, b] = [parse(getComputedStyle(node).color), backdrop(node)].map(luminance);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return [Math.round(ratio * 100) / 100, node.tagName, node.textContent.trim()];
    })
    .filter(([ratio]) => ratio < 4.5);
"""
"""The texts whose contrast is below that of WCAG 2.2, 1.4.3 (AA)."""


def test_every_page_fits_a_phone_and_is_readable_in_light_and_dark(
    pages: list[str], site: Site
) -> None:
    for options in (WIDE, DARK, PHONE):
        with available(browser(site.address, **options)) as window:
            window.sign_in("admin", PASSWORD)
            for path in pages:
                window.open(path)
                window.find("#content-main")
                assert window.overflow() <= 0, (path, options)
                assert window.driver.execute_script(CONTRASTS) == [], (path, options)
                assert barriers(window.driver) == [], (path, options)


def test_what_bars_somebody_is_found() -> None:
    odd = "<img src=x><input><p style='color:silver'>faint</p>"
    with available(browser("")) as window:
        window.driver.get(f"data:text/html,<html lang=en><title>x</title><main>{odd}</main>")

        found = [barrier.partition(":")[0] for barrier in barriers(window.driver)]

    assert found == ["color-contrast", "image-alt", "label"]


def test_every_button_is_reached_and_pressed_by_keyboard(operator: Browser, site: Site) -> None:
    operator.open("/admin/backup_tasks/run/")
    tab_to(operator, "backup-now")
    operator.driver.switch_to.active_element.send_keys(Keys.ENTER)
    until_ended(operator)
    operator.open("/admin/backup_tasks/package/")
    operator.press("#result_list tbody th a")

    tab_to(operator, "backup-restore")
    operator.driver.switch_to.active_element.send_keys(Keys.ENTER)
    tab_to(operator, "id_typed")
    operator.driver.switch_to.active_element.send_keys(operator.text("#backup-expected"))
    tab_to(operator, "backup-confirm")
    focus = operator.driver.execute_script(
        "return getComputedStyle(document.activeElement).outlineStyle"
    )
    assert focus == "solid"
    operator.driver.switch_to.active_element.send_keys(Keys.ENTER)

    assert "proven equal" in until_ended(operator)


def tab_to(operator: Browser, name: str) -> None:
    """Press Tab until the element has the focus."""
    operator.find(f"#{name}")
    for _ in range(200):
        focused = operator.driver.switch_to.active_element
        if focused.get_attribute("id") == name:
            return
        focused.send_keys(Keys.TAB)
    pytest.fail(f"no Tab leads to #{name}")
