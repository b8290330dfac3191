"""No package, sidecar or store makes anything but an error of this project, or takes 200 MB.

A minute of it in continuous integration, seconds elsewhere; `FUZZ_SECONDS` says otherwise, and
`FUZZ_SEED` where it begins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import SystemRandom

import pytest

SECONDS = float(os.environ.get("FUZZ_SECONDS") or (60 if os.environ.get("CI") else 10))
MOST = 200 << 10


@pytest.mark.slow
def test_whatever_somebody_writes_is_refused_in_our_words_and_in_little_memory() -> None:
    seed = int(os.environ.get("FUZZ_SEED") or SystemRandom().randrange(1 << 32))

    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", str(SECONDS), str(seed)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )

    assert done.returncode == 0, f"from seed {seed}: {done.stderr[-5000:]}"
    told = json.loads(done.stdout)
    print(f"from seed {seed}, {SECONDS:.0f} s: {told}")
    assert min(told["tried"].values()) > 0
    assert len(told["tried"]) == 3
    assert told["peak_kb"] < MOST
