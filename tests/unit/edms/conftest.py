"""An EDMS with the demonstration data."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from edms.documents.models import Document
from edms.users.models import User
from edms.workflows.models import DocumentWorkflow
from edms.workflows.signing import Meaning, Signing
from tests.services import Project


@pytest.fixture
def quick_passwords(settings: Settings) -> None:
    """Hashing is slow on purpose; these tests are not about passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def demo(on_demo_project: Project, quick_passwords: None) -> "Demo":
    """The demonstration data, in a copy of a database that was filled once."""
    return Demo()


class Demo:
    """Finds what the demonstration holds."""

    def user(self, name: str) -> User:
        found: User = User.objects.get(username=name)
        return found

    def document(self, number: str) -> Document:
        found: Document = Document.objects.get(document_number=number)
        return found

    def workflow(self, number: str) -> DocumentWorkflow:
        found: DocumentWorkflow = DocumentWorkflow.objects.get(
            document__document_number=number, completed_at__isnull=True
        )
        return found

    def signing(self, name: str, meaning: str) -> Signing:
        """What giving the password on the page comes to."""
        return Signing(signer=self.user(name), meaning=Meaning(meaning), time_zone="UTC")

    def browser(self, name: str) -> Client:
        """A signed-in browser."""
        client = Client()
        client.force_login(self.user(name))
        return client


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "draft.txt"
    path.write_text("A draft.\n", encoding="utf-8")
    return path
