"""How a package is made: `dump` writes the rows, `pack` adds the files and publishes. The steps run
the two one by one; a safety backup runs them in one go.

Both work in a folder of the run's workspace:

    manifest.json       everything but the files (dump)
    database/*.jsonl    the rows (dump)
    references.jsonl    {"storage", "name", "field"} of each file that a row refers to (dump)
    files.jsonl         the files that there are (pack)
    packed/NAME.tar…    the package, until it is published (pack)
"""
