"""The package: one file that holds a backup. Its format is written down in `docs/`.

`writer` makes it, `reader` takes it apart, `manifest`, `index` and `sidecar` describe it, `store`
keeps it. Everything streams: memory does not depend on how much a package holds.
"""
