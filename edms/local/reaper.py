"""Kills process groups when the program that registered them is gone, however it went.

Runs as a program of its own, started by `edms.local.processes`. On its standard input it is told
`+PGID` for each group to watch and `-PGID` for each that needs it no more. The input ends when the
program ends, also by `kill -9`: then every group that is left is killed.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        change = groups.add if line.startswith(b"+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
