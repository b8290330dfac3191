"""The pages for everybody: on a phone, in the dark, with a keyboard, read aloud."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.acceptance.admin_browser import barriers, browser, web_server
from tests.acceptance.edms_browser import Person
from tests.services import Templates, given

pytestmark = pytest.mark.slow

PAGES = {
    "ben": (
        *("/", "/documents/?q=control&type=SOP", "/documents/SOP-2026-0001/"),
        *("/documents/SOP-2025-0001/", "/documents/?state=none"),
        *("/account/", "/password/", "/documents/?q=calibration"),
    ),
    "eva": ("/documents/new/", "/documents/POL-2026-0001/"),
    "cleo": ("/audit/", "/documents/SOP-2025-0001/"),
    "finn": ("/documents/SOP-2026-0001/",),  # which is not for him
}

NAMELESS = """
return [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, img')]
    .filter(e => !(e.labels?.length || e.textContent.trim() || e.alt)).map(e => e.outerHTML)
"""

DOUBLE_IDS = """
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
return ids.filter((id, place) => ids.indexOf(id) !== place)
"""

LEVELS = "return [...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))"

FAINT = """
// WCAG 2.2, 1.4.3: the contrast of each piece of text with what is painted behind it.
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, place) => sum + c * [.2126, .7152, .0722][place], 0);
const behind = e => {
    for (; e; e = e.parentElement) {
        const color = numbers(getComputedStyle(e).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
};
document.querySelectorAll('details').forEach(e => e.open = true);
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.getClientRects().length) continue;
    const [one, other] = [light(numbers(getComputedStyle(e).color)), light(behind(e))];
    const contrast = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${texts.currentNode.data.trim()}`);
}
return found
"""


@pytest.fixture(scope="module")
def site(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demonstration EDMS to look at."""
    project = templates.copy("sqlite", tmp_path_factory.mktemp("pages"), demo=True)
    with web_server(project) as address:
        yield address


@pytest.fixture(scope="module", params=["light", "dark"])
def phone(request: pytest.FixtureRequest, site: str) -> Iterator[Person]:
    """Somebody with a phone."""
    for window in given(browser(site, width=390, height=844, dark=request.param == "dark")):
        yield Person(browser=window.driver, address=site)


def pages(person: Person) -> Iterator[str]:
    """Open one page after the other."""
    person.browser.delete_all_cookies()
    for path in ("/login/", "/password/forgotten/"):
        person.open(path)
        yield path
    for name, paths in PAGES.items():
        person.sign_in(name)
        for path in paths:
            person.open(path)
            yield f"{path} for {name}"


def test_pages_fit_a_phone_and_can_be_read(phone: Person) -> None:
    def run(script: str) -> object:
        return phone.browser.execute_script(script)

    for page in pages(phone):
        width = run("return document.documentElement.scrollWidth")
        assert width == 390, f"{page} is {width} pixels wide"
        assert run(FAINT) == [], page
        assert run(NAMELESS) == [], page
        assert run(DOUBLE_IDS) == [], page
        assert barriers(phone.browser) == [], page
        assert run("return document.documentElement.lang") == "en", page
        levels = phone.browser.execute_script(LEVELS)
        steps = [after - before for before, after in zip([0, *levels], levels, strict=False)]
        assert levels.count(1) == 1, page
        assert max(steps) == 1, f"a level of headings is left out: {levels} on {page}"


def test_the_keyboard_alone_leads_to_what_there_is_to_do(phone: Person) -> None:
    """The first key offers to leave out the head of the page; the focus can always be seen."""
    phone.sign_in("ben")
    phone.open("/documents/SOP-2026-0001/")
    passed: list[str] = []
    while "Reject" not in passed:
        phone.browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = phone.browser.switch_to.active_element
        passed.append(focused.text or focused.get_attribute("name") or "")
        assert len(passed) < 20, passed
        assert focused.value_of_css_property("outline-style") == "solid", passed
    assert passed[0] == "Skip to content"
    assert passed[-4:] == ["comment", "Pass review", "comment", "Reject"]
