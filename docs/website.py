"""Builds the site of these pages, strictly: a link that leads nowhere is an error.

    python docs/website.py            this tree, as docs/_build/site/VERSION
    python docs/website.py --all      each release (tag vVERSION) beside it

Each version has a folder of its own and a list of the others; `index.html` leads to the newest
release, to this tree where there is none. The whole folder is what a web server serves.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "docs" / "_build" / "site"
HERE = "development"
LEADS_ON = (
    '<!doctype html><meta http-equiv="refresh" content="0; url={0}/"><a href="{0}/">{0}</a>\n'
)


def releases(repository: Path) -> list[str]:
    """Return the versions that have a tag and a site, the newest first."""
    listed = _git(repository, "tag", "--list", "v[0-9]*", "--sort=-version:refname").decode()
    return [
        tag.removeprefix("v")
        for tag in listed.split()
        if _git(repository, "ls-tree", "--name-only", tag, "docs/website.py")
    ]


def build(tree: Path, version: str, versions: list[str], site: Path) -> None:
    """Build the site of a tree in its own folder. Raises CalledProcessError for any fault."""
    environment = {**os.environ, "DOCS_VERSION": version, "DOCS_VERSIONS": " ".join(versions)}
    strict = ("--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    cache = ("--doctree-dir", str(site.parent / "doctrees" / version))
    command = [sys.executable, "-m", "sphinx", *strict, *cache, "docs", str(site / version)]
    subprocess.run(command, cwd=tree, env=environment, check=True)


def build_release(repository: Path, version: str, versions: list[str], site: Path) -> None:
    """Build the site of a release from what its tag holds."""
    with tempfile.TemporaryDirectory() as folder:
        content = _git(repository, "archive", "--format=zip", f"v{version}")
        with zipfile.ZipFile(io.BytesIO(content)) as tree:
            tree.extractall(folder)
        build(Path(folder), version, versions, site)


def build_all(repository: Path, site: Path, *, with_releases: bool) -> list[str]:
    """Build everything anew; return the versions, the newest release first and this tree last."""
    old = releases(repository) if with_releases else []
    versions = [*old, HERE]
    shutil.rmtree(site, ignore_errors=True)
    for version in old:
        build_release(repository, version, versions, site)
    build(repository, HERE, versions, site)
    (site / "index.html").write_text(LEADS_ON.format(versions[0]), encoding="utf-8")
    return versions


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, stdout=subprocess.PIPE
    ).stdout


def main() -> int:
    """Build what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(description="Build the site of the documentation.")
    parser.add_argument("--all", action="store_true", help="every release as well")
    parser.add_argument("--into", type=Path, default=SITE, help="default: docs/_build/site")
    asked = parser.parse_args()
    site = asked.into.absolute()
    try:
        versions = build_all(ROOT, site, with_releases=asked.all)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"The site was not built: {error}\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}: {', '.join(versions)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
