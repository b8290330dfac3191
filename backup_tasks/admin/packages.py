"""The index of packages, and what is started from there: verify, drill, restore."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks.admin import content, starting
from backup_tasks.admin.broken_packages import broken_on_this_machine
from backup_tasks.admin.confirmation import RestoreConfirmation
from backup_tasks.admin.differences import differences
from backup_tasks.admin.display import KINDS, ago, standing
from backup_tasks.admin.download import download
from backup_tasks.admin.package_history import history_of
from backup_tasks.admin.package_uploads import PackageUploads
from backup_tasks.admin.protection import protection
from backup_tasks.admin.read_only import (
    DOWNLOAD,
    START_BACKUP,
    START_RESTORE,
    back_to,
    require,
)
from backup_tasks.admin.runs import active_writer
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.evidence import audit
from backup_tasks.models import Package, Run
from backup_tasks.restore import publications
from backup_tasks.restore.plan import rows_at_stake
from backup_tasks.status.packages import in_index
from backup_tasks.storage import catalogue, last_good, verdicts
from backup_tasks.storage.last_good import Candidate

_ERRORS = (BackupError, DatabaseError, InterfaceError)
_CANDIDATE = "_backup_candidate"
"""Attribute of a row on the list."""


@admin.register(Package)
class PackageAdmin(PackageUploads):
    """The list of packages."""

    page_template = "backup_tasks/package.html"
    list_display = [
        *("name", "how_it_stands", "age", "label", "type", "size_text"),
        *("is_encrypted", "is_signed"),
        *("verified", "drilled"),
    ]
    search_fields = ["name", "label", "package_id", "sha256"]
    actions = ["verify_selected", "drill_selected"]
    list_per_page = 50
    show_full_result_count = False
    change_list_template = "admin/backup_tasks/package/change_list.html"

    @admin.display(description="made", ordering="created_at")
    def age(self, package: Package) -> str:
        """The time since it was made."""
        return ago(package.created_at)

    @admin.display(description="standing", ordering="failed_at")
    def how_it_stands(self, package: Package) -> SafeString:
        """Its standing, a failure in red."""
        return standing(getattr(package, _CANDIDATE))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, with what is known of each package on it, asked for once."""
        shown = super().get_changelist_instance(request)
        rows = list(shown.result_list)
        known = verdicts.standings(row.sha256 for row in rows)
        for row in rows:
            setattr(row, _CANDIDATE, Candidate.of_row(row, known[row.sha256]))
        shown.result_list = rows
        return shown

    @admin.display(description="size", ordering="size")
    def size_text(self, package: Package) -> str:
        """Its size."""
        return filesizeformat(package.size)

    @admin.display(description="encrypted", ordering="encrypted")
    def is_encrypted(self, package: Package) -> str:
        """Yes or no in words: a red cross would look like an error."""
        return "yes" if package.encrypted else "no"

    @admin.display(description="signed", ordering="signed")
    def is_signed(self, package: Package) -> str:
        """Yes or no in words, for the same reason."""
        return "yes" if package.signed else "no"

    @admin.display(description="last verified", ordering="verified_at")
    def verified(self, package: Package) -> str:
        """When its content was last read back and checked."""
        return ago(package.verified_at)

    @admin.display(description="last drilled", ordering="drilled_at")
    def drilled(self, package: Package) -> str:
        """When it was last restored and proven."""
        return ago(package.drilled_at)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        view = self.admin_site.admin_view
        return [
            path("refresh/", view(self.refresh), name="backup_tasks_package_refresh"),
            path("preview/", view(self.preview), name="backup_tasks_package_preview"),
            path("prune/", view(self.prune), name="backup_tasks_package_prune"),
            path("<int:pk>/verify/", view(self.verify), name="backup_tasks_package_verify"),
            path("<int:pk>/drill/", view(self.drill), name="backup_tasks_package_drill"),
            path("<int:pk>/pin/", view(self.pin), name="backup_tasks_package_pin"),
            path("<int:pk>/unpin/", view(self.unpin), name="backup_tasks_package_unpin"),
            path("<int:pk>/download/", view(self.download), name="backup_tasks_package_download"),
            path("<int:pk>/restore/", view(self.restore), name="backup_tasks_package_restore"),
            *super().get_urls(),
        ]

    @transaction.non_atomic_requests
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, with the packages that can't be counted on above it."""
        looked = in_index()
        more = {
            "title": "Packages",
            "broken": broken_on_this_machine(looked),
            "protection": protection(looked),
            "may_back_up": request.user.has_perm(START_BACKUP),
        }
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def page_of(self, request: HttpRequest, package: Package) -> dict[str, Any]:
        """Show a package's page."""
        may_count = request.user.has_perm(START_BACKUP) or request.user.has_perm(START_RESTORE)
        return self.page_context(
            request,
            f"Package {package.name}",
            package=package,
            age=ago(package.created_at),
            verified=ago(package.verified_at),
            drilled=ago(package.drilled_at),
            candidate=_candidate(package),
            history=history_of(package),
            differences=differences(
                request, package, live=may_count and request.GET.get("live") == "1"
            ),
            may_count=may_count,
            may_download=request.user.has_perm(DOWNLOAD),
        )

    @admin.action(description="Verify: read to the end and check", permissions=["start_backup"])
    def verify_selected(self, request: HttpRequest, packages: QuerySet[Package]) -> None:
        """Start a verification of each."""
        self._start_each(request, Run.Kind.VERIFY, packages)

    @admin.action(
        description="Drill: restore beside live, prove, discard", permissions=["start_backup"]
    )
    def drill_selected(self, request: HttpRequest, packages: QuerySet[Package]) -> None:
        """Start a drill of each."""
        self._start_each(request, Run.Kind.DRILL, packages)

    def _start_each(self, request: HttpRequest, kind: str, packages: QuerySet[Package]) -> None:
        runs = [starting.start(request, kind, {"package": row.name}) for row in packages]
        for run in filter(None, runs):
            messages.success(
                request, format_html("{} started: {}", KINDS[kind], starting.run_link(run))
            )

    @transaction.non_atomic_requests
    def refresh(self, request: HttpRequest) -> HttpResponse:
        """Read the stores and make the index say what is there."""
        if not self.has_view_permission(request):
            require(request, START_BACKUP)
        if (page := back_to(request, "admin:backup_tasks_package_changelist")) is not None:
            return page
        try:
            contents = catalogue.read()
            catalogue.index(contents)
            last_good.known(contents.found)
        except _ERRORS as raised:
            starting.tell_error(request, explain(raised))
        else:
            if not contents.unread:
                good = len(contents.found)
                messages.success(request, f"The stores were read. Good packages: {good}.")
            for error in [*contents.unread.values(), *(odd.error for odd in contents.broken)]:
                starting.tell_error(request, error)
        return redirect("admin:backup_tasks_package_changelist")

    @transaction.non_atomic_requests
    def preview(self, request: HttpRequest) -> HttpResponse:
        """Start a dry run of prune: its page says what would become of each package."""
        return self._prune(request, {"dry_run": True})

    @transaction.non_atomic_requests
    def prune(self, request: HttpRequest) -> HttpResponse:
        """Start a prune."""
        return self._prune(request, {})

    def _prune(self, request: HttpRequest, params: dict[str, Any]) -> HttpResponse:
        require(request, START_BACKUP)  # each backup prunes
        if (page := back_to(request, "admin:backup_tasks_package_changelist")) is not None:
            return page
        back = reverse("admin:backup_tasks_package_changelist")
        return starting.start_on_workers(request, Run.Kind.PRUNE, params, back=back)

    @transaction.non_atomic_requests
    def verify(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start a verification."""
        return self._start(request, Run.Kind.VERIFY, pk)

    @transaction.non_atomic_requests
    def drill(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start a drill."""
        return self._start(request, Run.Kind.DRILL, pk)

    @transaction.non_atomic_requests
    def pin(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep the package, whatever the retention says."""
        return self._pin(request, pk, pinned=True)

    @transaction.non_atomic_requests
    def unpin(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the retention decide on it again."""
        return self._pin(request, pk, pinned=False)

    def _pin(self, request: HttpRequest, pk: int, *, pinned: bool) -> HttpResponse:
        require(request, START_BACKUP)
        if (page := back_to(request, "admin:backup_tasks_package_change", pk)) is not None:
            return page
        package = self._package(request, pk)
        by = request.user.get_username()
        verdicts.set_pin(package.sha256, pinned=pinned, by=by)
        what, details = "pinned" if pinned else "unpinned", {"sha256": package.sha256}
        audit.record(what, package.name, through="admin", by=by, details=details)
        state = "is pinned: no prune removes it" if pinned else "is no longer pinned"
        messages.success(request, f"{package.name} {state}.")
        return redirect("admin:backup_tasks_package_change", pk)

    @transaction.non_atomic_requests
    def download(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Send the package to the browser."""
        require(request, DOWNLOAD)
        if (page := back_to(request, "admin:backup_tasks_package_change", pk)) is not None:
            return page
        try:
            return download(request, self._package(request, pk))
        except _ERRORS as raised:
            starting.tell_error(request, explain(raised))
            return redirect("admin:backup_tasks_package_change", pk)

    def _start(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        require(request, START_BACKUP)
        if (page := back_to(request, "admin:backup_tasks_package_change", pk)) is not None:
            return page
        package = self._package(request, pk)
        back = reverse("admin:backup_tasks_package_change", args=[pk])
        return starting.start_on_workers(request, kind, {"package": package.name}, back=back)

    @transaction.non_atomic_requests
    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what a restore would do; start it once the package's name was typed."""
        require(request, START_RESTORE)
        package = self._package(request, pk)
        settings = backup_settings()
        form = RestoreConfirmation(
            request.POST or None,
            expected=package.name,
            what="the name of the package",
            holds_both=package.type in ("full", "export", "partial"),
            encrypted=package.encrypted,
            needs_signature=bool(settings.trusted_keys) and not package.signed,
            publications=publications.of_live(),
        )
        if request.method == "POST" and form.is_valid():
            here = reverse("admin:backup_tasks_package_restore", args=[pk])
            params = {"package": package.name, **form.params()}
            return starting.start_on_workers(
                request, Run.Kind.RESTORE, params, back=here, confirmed=f"typed {package.name}"
            )
        try:
            then = content.rows_of(package)
            now = content.live()
            changes = content.changes(now, then)
            at_stake = " ".join(rows_at_stake(now, then or {}))
        except _ERRORS as raised:
            starting.tell_error(request, explain(raised))
            then, changes, at_stake = None, [], ""
        page = self.page_context(
            request,
            "Restore this package?",
            package=package,
            age=ago(package.created_at),
            verified=ago(package.verified_at),
            drilled=ago(package.drilled_at),
            candidate=_candidate(package),
            form=form,
            changed=[change for change in changes if change.differs],
            unchanged=[change for change in changes if not change.differs],
            known=then is not None,
            at_stake=at_stake,
            undo_days=settings.undo_for.days,
            writer=active_writer(),
            lacks_identity=package.encrypted and not settings.identities,
        )
        return TemplateResponse(request, "backup_tasks/restore.html", page)

    def _package(self, request: HttpRequest, pk: int) -> Package:
        package: Package | None = self.get_queryset(request).filter(pk=pk).first()
        if package is None:
            raise Http404("There is no such package.")
        return package


def _candidate(package: Package) -> Candidate:
    return Candidate.of_row(package, verdicts.standings([package.sha256])[package.sha256])
