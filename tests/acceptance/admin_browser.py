"""An operator at the admin: headless Chromium as wide or as dark as is wanted, and Flower."""

import contextlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from axe_core_python.base import AXE_SCRIPT
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

from edms.local.errors import ServiceUnavailable
from edms.local.instance import ROOT, Instance
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import start, wait_until

PATIENCE = 60
"""Seconds that a page may take to become what is waited for."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

T = TypeVar("T")


_SERIOUS = """
const done = arguments[arguments.length - 1];
axe.run().then(found => done(found.violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .map(each => `${each.id}: ${each.nodes.map(node => node.html).join(" ")}`)));
"""


def barriers(driver: webdriver.Chrome) -> list[str]:
    """What axe finds on the page that bars somebody from using it: serious and critical ones, each
    with the elements. What is in a `details` is opened first."""
    driver.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    driver.execute_script(AXE_SCRIPT)
    found: list[str] = driver.execute_async_script(_SERIOUS)
    return found


@dataclass(frozen=True, kw_only=True)
class Browser:
    """A browser window that looks at one site."""

    driver: webdriver.Chrome
    site: str

    def open(self, path: str) -> None:
        """Go to a path of the site."""
        self.driver.get(f"{self.site}{path}")

    def sign_in(self, user: str, password: str) -> None:
        """Sign in to the admin."""
        self.driver.delete_all_cookies()
        self.open("/admin/login/?next=/admin/")
        self.find("[name=username]").send_keys(user)
        self.find("[name=password]").send_keys(password)
        self.press("[type=submit]")
        self.until(lambda: "/login/" not in self.driver.current_url, "signed in")

    def find(self, selector: str) -> WebElement:
        """Return the first element that a CSS selector finds, once it is there."""
        found = self.until(
            lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), f"{selector} is there"
        )
        return found[0]

    def has(self, selector: str) -> bool:
        """Whether a CSS selector finds anything."""
        return bool(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def text(self, selector: str = "#content") -> str:
        """Return the text that a person sees there."""
        return self.find(selector).text

    def click(self, selector: str) -> None:
        """Click on it."""
        self.find(selector).click()

    def until(self, seen: Callable[[], T], what: str) -> T:
        """Return what `seen` returns once that is true; the message tells what was waited for."""
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.1)
        return wait.until(lambda _: seen(), f"never: {what}; the page is {self.driver.current_url}")

    def press(self, selector: str) -> None:
        """Click on it, and wait for the page that comes of it."""
        element = self.find(selector)
        element.click()
        self.until(lambda: staleness_of(element)(self.driver), f"{selector} leads somewhere")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(
            self.driver.execute_script(
                "return document.documentElement.scrollWidth - window.innerWidth"
            )
        )

    def resize(self, width: int, height: int) -> None:
        """Make the window that large, in CSS pixels; below 600 it is a phone's."""
        _resize(self.driver, width, height)

    def shoot(self, picture: Path, *, height: int) -> None:
        """Write what the window shows to a PNG, the window being as tall as is asked for."""
        width = int(self.driver.execute_script("return window.innerWidth"))
        _resize(self.driver, width, height)
        picture.write_bytes(self.driver.get_screenshot_as_png())

    def path(self) -> str:
        """Return the path of the page that is open."""
        return self.driver.current_url.removeprefix(self.site)


@contextlib.contextmanager
def browser(
    site: str, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Browser]:
    """A headless Chromium. Raises ServiceUnavailable where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    chauffeur = shutil.which("chromedriver")
    if program is None or chauffeur is None:
        raise ServiceUnavailable(
            "There is no browser: neither chromium nor google-chrome is installed, or chromedriver "
            "is missing. Debian has both: apt-get install chromium chromium-driver."
        )
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *("--no-first-run", "--disable-background-networking", f"--window-size={width},{height}"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
    ):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=chauffeur)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        # The window has borders and a smallest width; what a page sees has neither.
        _resize(driver, width, height)
        if dark:
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
            )
        yield Browser(driver=driver, site=site)
    finally:
        driver.quit()


def _resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@contextlib.contextmanager
def web_server(instance: Instance) -> Iterator[str]:
    """The EDMS as a web server; gives its address. It needs no Django in this process."""
    port = free_port()
    site = f"http://{LOOPBACK}:{port}"
    child = start(
        "the web server",
        [sys.executable, "manage.py", "runserver", "--noreload", f"{LOOPBACK}:{port}"],
        log=instance.folder / "web.log",
        env=instance.env,
        cwd=ROOT,
    )
    try:
        wait_until(lambda: _answers(f"{site}/health"), child=child, what="the web server answers")
        yield site
    finally:
        child.stop()


@contextlib.contextmanager
def flower(instance: Instance, port: int) -> Iterator[str]:
    """Flower on the instance's queue; gives its address."""
    site = f"http://{LOOPBACK}:{port}"
    child = start(
        "Flower",
        [
            *(sys.executable, "-m", "celery", "-A", "edms", "flower"),
            *(f"--address={LOOPBACK}", f"--port={port}", "--read-only"),
        ],
        log=instance.folder / "flower.log",
        env=instance.env,
        cwd=ROOT,
    )
    try:
        wait_until(lambda: _answers(f"{site}/healthcheck"), child=child, what="Flower answers")
        yield site
    finally:
        child.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
