"""`python -m tests.fuzz SECONDS SEED`: see the package."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

import django
from django.conf import settings


def main(seconds: float, seed: int) -> int:
    """Try rounds until the time is up; return an exit code."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        _configure(folder)
        from tests.fuzz.rounds import ROUNDS, bench_in  # after the settings are there

        bench = bench_in(folder)
        (folder / "identity").write_text(bench.identity)
        tried: Counter[str] = Counter()
        until = time.monotonic() + seconds
        while True:
            draw = Random(seed)
            (chosen,) = draw.choices(list(ROUNDS), list(ROUNDS.values()))
            try:
                chosen(draw, bench)
            except Exception:  # noqa: BLE001 - which is what is looked for
                print(f"`python -m tests.fuzz 0 {seed}`, {chosen.__name__}:", file=sys.stderr)
                traceback.print_exc()
                return 1
            tried[chosen.__name__] += 1
            seed += 1
            if time.monotonic() >= until:
                break
    print(json.dumps({"tried": tried, "peak_kb": _peak()}))
    return 0


def _configure(folder: Path) -> None:
    backend = "django.core.files.storage.FileSystemStorage"
    settings.configure(
        BASE_DIR=folder,
        DATABASES={},  # nothing that is tried here may ask one
        INSTALLED_APPS=["django.contrib.contenttypes", "backup_tasks"],
        STORAGES={"store": {"BACKEND": backend, "OPTIONS": {"location": str(folder / "store")}}},
        BACKUP={"PROJECT": "edms", "STORES": ["store"], "FILE_STORAGES": []},
        USE_TZ=True,
    )
    django.setup()


def _peak() -> int:
    """The most memory that the process ever had, in KiB. Not `ru_maxrss`, which is also that of the
    process it was forked from."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
