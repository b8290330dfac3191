"""A person at a browser in front of an EDMS, at its own pages."""

from dataclasses import dataclass
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from edms.demo import PASSWORD

SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Person:
    """What somebody does at the browser. Every click waits for the page that comes of it."""

    browser: Chrome
    address: str

    def open(self, path: str) -> None:
        self.browser.get(f"{self.address}{path}")

    def sign_in(self, username: str) -> None:
        """Sign in, with the cookies of whoever was there before gone."""
        self.browser.get(f"{self.address}/login/")
        self.browser.delete_all_cookies()
        self.open("/login/")
        self.fill("username", username)
        self.fill("password", PASSWORD)
        self.press("Sign in")
        assert self.heading == "My work", self.text

    @property
    def heading(self) -> str:
        return self.find("h1").text

    @property
    def text(self) -> str:
        return self.find("main").text

    @property
    def state(self) -> str:
        """Of the document whose page this is."""
        return self.find("#state").text

    @property
    def buttons(self) -> list[str]:
        """What the document's page offers to do."""
        return [each.text for each in self.browser.find_elements(By.CSS_SELECTOR, ".acts button")]

    def find(self, selector: str) -> WebElement:
        """The first element that matches; waits for it."""
        return self._wait().until(presence_of_element_located((By.CSS_SELECTOR, selector)))

    def fill(self, name: str, value: str) -> None:
        """Type into the visible field with this name."""
        field = self.find(f"[name='{name}']:not([type=hidden])")
        if field.tag_name == "select":
            field.find_element(By.XPATH, f"./option[contains(., '{value}')]").click()
        else:
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(value)

    def press(self, button: str, comment: str = "", password: str = "") -> None:
        """Press a button, with the fields of its own form filled in, and wait for the page."""
        found = self.browser.find_element(By.XPATH, f"//main//button[normalize-space()='{button}']")
        for name, value in (("comment", comment), ("password", password)):
            if value:
                found.find_element(By.XPATH, f"./ancestor::form//input[@name='{name}']").send_keys(
                    value
                )
        self._go_by(found)

    def follow(self, link: str) -> None:
        """Follow the link with this text."""
        found = self.browser.find_element(By.PARTIAL_LINK_TEXT, link)
        self._go_by(found)

    def fetch(self, path: str) -> tuple[int, str]:
        """What the server answers to this person's browser: status and text."""
        answer: list[Any] = self.browser.execute_async_script(
            "const [path, done] = arguments;"
            "fetch(path).then(r => r.text().then(t => done([r.status, t])));",
            path,
        )
        return answer[0], answer[1]

    def _go_by(self, element: WebElement) -> None:
        """Click what leads to another page, and wait until that one is there in full."""
        # Asking whether an element is still there fails at times while the page changes.
        self.browser.execute_script("window.isBefore = true")
        element.click()
        self._wait().until(
            lambda browser: browser.execute_script(
                "return !window.isBefore && document.readyState === 'complete'"
            )
        )

    def _wait(self) -> "WebDriverWait[Chrome]":
        return WebDriverWait(self.browser, SECONDS)
