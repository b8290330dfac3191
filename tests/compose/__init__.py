"""Starts production's compose stack for real, proves what it promises, and takes it down.

`smoke` is the program; `prepare` makes what it needs on a machine without Docker or a registry.
"""
