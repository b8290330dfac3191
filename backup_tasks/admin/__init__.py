"""The admin pages: what ran and what runs, the packages, and the buttons that start runs.

    runs           the list of runs, a run's page, "Back up now", "Reset…", resume, cancel
    steps          a step's page: every attempt, and what went wrong
    packages       the index of packages, verify, drill, "Restore…"
    home           whether the data is safe, on the index page of the app
    undo_points    what can be undone, "Undo…"
    approvals      what another person has to approve
    audit_trail    who did what, and whether the chain of entries holds

Nothing here is ever edited: the ledger and the stores are the truth. What replaces live data wants
`backup_tasks.start_restore`, and the name of what is at stake typed in full.
"""

from backup_tasks.admin.approvals import ApprovalRequestAdmin
from backup_tasks.admin.audit_trail import AuditEntryAdmin
from backup_tasks.admin.packages import PackageAdmin
from backup_tasks.admin.runs import RunAdmin
from backup_tasks.admin.steps import StepAdmin
from backup_tasks.admin.undo_points import UndoPointAdmin

__all__ = [
    "ApprovalRequestAdmin",
    "AuditEntryAdmin",
    "PackageAdmin",
    "RunAdmin",
    "StepAdmin",
    "UndoPointAdmin",
]
