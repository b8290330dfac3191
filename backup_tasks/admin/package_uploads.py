"""The page of uploads: what is in quarantine, and the form."""

from __future__ import annotations

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from backup_tasks.admin import uploading
from backup_tasks.admin.package_contents import PackageContents
from backup_tasks.admin.read_only import UPLOAD, back_to, require
from backup_tasks.conf import backup_settings
from backup_tasks.storage import uploads

_PAGE = "admin:backup_tasks_package_upload"


class PackageUploads(PackageContents):
    """The pages below `upload/`."""

    def get_urls(self) -> list[URLPattern]:
        """Add their addresses."""
        view, name = self.admin_site.admin_view, "backup_tasks_package_upload"
        return [
            path("upload/", view(self.upload), name=name),
            path("upload/<str:token>/verify/", view(self.verify_upload), name=f"{name}_verify"),
            path("upload/<str:token>/remove/", view(self.remove_upload), name=f"{name}_remove"),
            *super().get_urls(),
        ]

    # The token is in the form, and reading the form receives the files: so what receives them must
    # be there before the token is looked at, which `csrf_protect` does below.
    @method_decorator(csrf_exempt)
    @transaction.non_atomic_requests
    def upload(self, request: HttpRequest) -> HttpResponseBase:
        """Show what is in quarantine; receive a package there."""
        require(request, UPLOAD)
        if request.method != "POST":
            page = self.page_context(
                request,
                "Upload a package",
                uploads=uploading.told(),
                limit=backup_settings().upload_limit,
                trusted=bool(backup_settings().trusted_keys),
            )
            return TemplateResponse(request, "backup_tasks/upload.html", page)
        try:
            receiver = uploading.begin(request)
        except uploading.ERRORS as raised:
            return uploading.failed(request, raised)
        try:
            return csrf_protect(lambda request: self._receive(request, receiver))(request)
        finally:
            receiver.drop_unfinished()

    def _receive(self, request: HttpRequest, receiver: uploading.Receiver) -> HttpResponse:
        try:
            return uploading.receive(request, receiver)
        except uploading.ERRORS as raised:
            return uploading.failed(request, raised)

    @transaction.non_atomic_requests
    def verify_upload(self, request: HttpRequest, token: str) -> HttpResponse:
        """Verify an upload again."""
        require(request, UPLOAD)
        if (page := back_to(request, _PAGE)) is not None:
            return page
        return uploading.verify(request, self._upload(token))

    @transaction.non_atomic_requests
    def remove_upload(self, request: HttpRequest, token: str) -> HttpResponse:
        """Remove an upload."""
        require(request, UPLOAD)
        if (page := back_to(request, _PAGE)) is not None:
            return page
        return uploading.remove(request, self._upload(token))

    def _upload(self, token: str) -> uploads.Upload:
        upload = uploads.of(token)
        if upload is None:
            raise Http404("There is no such upload.")
        return upload
