"""`make bench`: what backup and restore cost, beside the tools that people use otherwise.

Everything is measured in one run on one machine, several times, with real servers and the real
commands; `docs/performance.md` is what the run found. Sizes are options: see `python -m benchmarks
--help`.
"""
