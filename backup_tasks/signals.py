"""Django signals of this app. Each is sent with `run`, a `models.Run` read anew; the sender is the
class.

A signal is sent once the ledger has committed what it tells of, in the process that did it: a
worker, a command, or a web process where somebody cancelled. A receiver's error is logged and
changes nothing. It is sent at most once, and not at all where that process dies in the same
instant; what must not be missed looks at the ledger.
"""

from django.dispatch import Signal

run_started = Signal()
"""The first step of a run, or of a run that was resumed, is being worked on."""

run_ended = Signal()
"""A run succeeded, failed or was cancelled. A cancellation that came too late is followed by the
run's success."""
