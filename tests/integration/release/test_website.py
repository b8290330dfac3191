"""The site that `make docs` builds: every page, the public API, each release; and no dead link."""

import json
import re
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.habits.pages import DOCS, ROOT, coded, page, rows


def tree_of(folder: Path) -> Path:
    """A repository that holds this tree, and has tagged it as a release."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    who = ("-c", "user.name=a test", "-c", "user.email=test@example.org")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["tag", "v9.0.1"]):
        subprocess.run(["git", *who, *command], cwd=folder, check=True)
    return folder


def build(tree: Path, *options: str) -> CompletedProcess[str]:
    command = [sys.executable, "docs/website.py", *options]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree_of(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def site(tree: Path) -> Path:
    done = build(tree, "--all")
    assert done.returncode == 0, done.stderr
    return tree / "docs" / "_build" / "site"


@pytest.mark.parametrize("version", ["9.0.1", "development"])
def test_a_version_has_every_page_and_a_search(site: Path, version: str) -> None:
    expected = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    made = {path.relative_to(site / version) for path in (site / version).rglob("*.html")}

    assert expected <= made
    index = (site / version / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", index, re.DOTALL)[1])  # type: ignore[index]
    assert len(found["docnames"]) == len(expected)


def test_every_version_leads_to_all_others_and_the_site_to_the_newest_release(site: Path) -> None:
    for version in ("9.0.1", "development"):
        for name in ("index.html", "how-to/upgrade.html"):
            of = site / version / name
            links = re.findall(
                r'href="([^"]*/(?:9\.0\.1|development)/index\.html)"', of.read_text()
            )
            assert {(of.parent / link).resolve() for link in links} == {
                site / other / "index.html" for other in ("9.0.1", "development")
            }

    assert 'url=9.0.1/"' in (site / "index.html").read_text()


def test_every_public_name_has_its_docstring_there(site: Path) -> None:
    text = (site / "development" / "reference" / "python.html").read_text(encoding="utf-8")
    names = [coded(cells[0])[0] for cells in rows(page("docs/reference/python.md").text)]

    assert names
    shown = set(re.findall(r'id="(?:module-)?([\w.]+)"', text))
    assert [name for name in names if name not in shown] == []
    assert "Write a run to the ledger and hand it to the workers" in text


def test_a_link_that_leads_nowhere_is_an_error(tree: Path, tmp_path: Path) -> None:
    tutorial = tree / "docs" / "tutorial.md"
    before = tutorial.read_text(encoding="utf-8")
    tutorial.write_text(f"{before}\n[dead](how-to/reset.md#no-such-heading)\n", encoding="utf-8")

    done = build(tree, "--into", str(tmp_path / "site"))

    tutorial.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert "no-such-heading" in done.stderr
    assert "tutorial.md" in done.stderr
