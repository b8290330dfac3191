"""The large data set: reproducible, and as the EDMS itself would have made it."""

import hashlib
from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import F

from edms.documents.models import Comment, Document, DocumentVersion, NumberSeries
from edms.documents.numbering import next_number
from edms.users.models import User
from edms.volume.chains import DEEPEST, chains
from edms.volume.chance import Chance

APPS = ("users", "documents", "workflows", "audit", "notices")


def generate(**options: Any) -> None:
    call_command("generate_documents", verbosity=0, **{"documents": 300, "users": 8, **options})


def test_it_makes_what_was_asked_for(db: None) -> None:
    generate()
    assert Document.objects.count() == 300
    assert User.objects.count() == 2 + 8
    assert Document.objects.filter(supersedes__supersedes__isnull=False).exists()
    assert Comment.objects.filter(parent__isnull=False).exists()
    assert Document.objects.filter(sensitivity_from__isnull=False).exists()
    # A document's files are where its versions say.
    version: DocumentVersion = DocumentVersion.objects.order_by("-pk")[0]
    with version.file.open() as file:
        assert hashlib.sha256(file.read()).hexdigest() == version.sha256


def test_nobody_reviews_or_approves_their_own_document(db: None) -> None:
    generate()
    assert not Document.objects.filter(author=F("reviewer")).exists()
    assert not Document.objects.filter(author=F("approver")).exists()


def test_the_next_number_follows_the_generated_ones(db: None) -> None:
    generate()
    series: NumberSeries = NumberSeries.objects.order_by("-year")[0]
    number = next_number(series.document_type, date(series.year, 6, 1))
    assert not Document.objects.filter(document_number=number).exists()
    assert number.endswith(f"{series.last_number + 1:04d}")


def test_a_second_run_adds_to_the_first(db: None) -> None:
    generate()
    generate()
    assert Document.objects.count() == 600


def test_too_few_people_for_four_eyes_are_refused(db: None) -> None:
    with pytest.raises(CommandError, match="at least 3"):
        call_command("generate_documents", "--users", "2")


def test_chains_go_as_deep_as_promised() -> None:
    plans = list(chains(2000, ["SOP"], Chance("depth")))
    assert len(plans) == 2000
    assert max(plan.place for plan in plans) == DEEPEST - 1


def test_every_table_of_the_edms_gets_rows(db: None) -> None:
    generate()
    ours = [model for model in apps.get_models() if model._meta.app_label in APPS]
    assert [model.__name__ for model in ours if not model._base_manager.exists()] == []
