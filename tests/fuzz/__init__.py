"""Packages, sidecars and whole stores that nobody would write, for as long as one likes.

`python -m tests.fuzz SECONDS SEED` tries them in one process and prints what came of it as JSON;
`make fuzz` does so for ten minutes. What is tried is drawn from the seed, round by round, so that
`python -m tests.fuzz 0 SEED` repeats one round of any seed that is named.
"""
