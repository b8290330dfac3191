"""Starts production's compose stack, proves that it works, takes it down.

    python -m tests.compose.smoke

Exit code 0: every proof held, and nothing was left behind. 1: not; the last line says why.
It installs nothing: `tests/compose/prepare` does, where there is no Docker.
"""

import signal
import sys
import time
from types import FrameType

from tests.compose import proofs
from tests.compose.engine import EngineError, find_engine
from tests.compose.stack import Stack, running_stack

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prove(stack: Stack) -> None:
    """Show everything that the stack promises."""
    proofs.web_answers(stack)
    print("web answers, with its static files")
    stack.manage("web", "seed_demo")
    backup = proofs.chain_ran(stack, "create_backup", "--type", "full")
    proofs.backup_is_whole(backup)
    print(f"backup {backup['id']} ran on {stack.hostname('worker-backups')}: {backup['package']}")
    drill = proofs.chain_ran(stack, "drill_restore")
    proofs.drill_is_exact(drill, backup)
    print(f"drill {drill['id']} restored {len(drill['models'])} models, each with equal digest")
    for run in (backup, drill):
        proofs.flower_lists(stack, run)
    print("Flower lists both chains, to those who log in, and starts nothing")
    proofs.secrets_stay_secret(stack)
    print(f"none of {len(stack.secrets)} secrets is in an environment, a command or a log")


def main() -> int:
    """Run it all; return the exit code."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        with running_stack(find_engine()) as stack:
            prove(stack)
    except (EngineError, proofs.NotProvenError) as error:
        print(f"compose-smoke failed: {error}", file=sys.stderr)
        return 1
    print(f"compose-smoke passed in {time.monotonic() - started:.0f} s")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once only: what takes the stack down must not be interrupted again.
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
