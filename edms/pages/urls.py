"""URLs of the pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from edms.pages.account import PasswordChange, PasswordReset, PasswordResetConfirm, account
from edms.pages.audit_page import audit_page
from edms.pages.dashboard import dashboard, notices_read
from edms.pages.document_list import document_list, export_documents
from edms.pages.document_page import document_page
from edms.pages.files import attachment_file, version_file
from edms.pages.moving import complete_review, move, retire
from edms.pages.reading import assign_readers, confirm_reading, unassign_reader
from edms.pages.writing import attach, comment, new_document, upload_version, withdraw

urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", account, name="account"),
    path("password/", PasswordChange.as_view(), name="password-change"),
    path("password/forgotten/", PasswordReset.as_view(), name="password-reset"),
    path(
        "password/new/<uidb64>/<token>/",
        PasswordResetConfirm.as_view(),
        name="password-reset-confirm",
    ),
    path("notices/read/", notices_read, name="notices-read"),
    path("documents/", document_list, name="documents"),
    path("documents/export.csv", export_documents, name="export-documents"),
    path("documents/new/", new_document, name="new-document"),
    path("documents/<str:number>/", document_page, name="document"),
    path("documents/<str:number>/versions/", upload_version, name="upload-version"),
    path("documents/<str:number>/attachments/", attach, name="attach"),
    path("documents/<str:number>/comments/", comment, name="comment"),
    path("documents/<str:number>/comments/<int:ordinal>/withdraw/", withdraw, name="withdraw"),
    path("documents/<str:number>/move/", move, name="move"),
    path("documents/<str:number>/retire/", retire, name="retire"),
    path("documents/<str:number>/review/", complete_review, name="complete-review"),
    path("documents/<str:number>/readers/", assign_readers, name="assign-readers"),
    path(
        "documents/<str:number>/readers/<str:username>/remove/",
        unassign_reader,
        name="unassign-reader",
    ),
    path("documents/<str:number>/read/", confirm_reading, name="confirm-reading"),
    path("audit/", audit_page, name="audit"),
    path("files/version/<int:pk>/", version_file, name="version-file"),
    path("files/attachment/<uuid:pk>/", attachment_file, name="attachment-file"),
]
