"""Django signals of this app."""

from django.dispatch import Signal

run_ended = Signal()
"""A run succeeded, failed or was cancelled. Sent with `run`, a `models.Run` read anew; the sender
is the class.

Sent once the ledger has committed it, in the process that ended the run: a worker, a command, or a
web process where somebody cancelled. A receiver's error is logged and changes nothing. It is sent
at most once per end, and not at all where that process dies in the same instant; what must not be
missed looks at the ledger. A cancellation that came too late is followed by the run's success.
"""
