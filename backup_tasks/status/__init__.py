"""Whether the project's data is safe: one light, with its reasons and what to do about each.

facts        what is known at one moment, as plain values
conditions   what makes the light red, amber or unknown: functions of the facts, nothing else
light        the colour and the reasons
gather       collects the facts from stores, index, ledger and disks
schedules    what beat starts, when next, and how it ended last
"""
