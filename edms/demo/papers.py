"""The documents of the demonstration, each at another point of its life."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.files.base import ContentFile

from edms.audit.actor import acting
from edms.demo.pdf import pdf
from edms.documents.models import (
    Document,
    DocumentDependency,
    DocumentSource,
    DocumentType,
    DocumentVersion,
    ExternalDocument,
    NumberSeries,
    SensitivityLabel,
    Tag,
)
from edms.users.models import User
from edms.workflows.models import DocumentTransition, DocumentWorkflow, WorkflowType
from edms.workflows.signing import MEANINGS, Signing, sign


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One document of the demonstration with its history."""

    number: str
    title: str
    kind: str
    state: str
    author: str
    reviewer: str
    approver: str
    created: datetime
    version: tuple[int, int]
    supersedes: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    label: str = ""
    label_from: str = ""
    manual_of: str = ""
    """The publisher, where the document is somebody else's."""
    moves: tuple[tuple[str, str, str], ...] = ()
    """To which state, by whom, with what comment; none: the document came without a workflow."""


PAPERS = (
    Paper(
        number="SOP-2024-0001", title="Control of documents", kind="SOP", state="superseded",
        author="ada", reviewer="ben", approver="cleo", version=(1, 0),
        created=datetime(2024, 2, 5, 9, 14, 7, 123457, tzinfo=UTC),
        metadata={"language": "en", "pages": 4, "imported": True, "legacy_id": "QM-17"},
        tags=("quality",), label="internal",
    ),
    Paper(
        number="SOP-2025-0001", title="Control of documents", kind="SOP", state="effective",
        author="ada", reviewer="ben", approver="cleo", version=(2, 0),
        created=datetime(2025, 3, 11, 10, 2, 59, 999999, tzinfo=UTC), supersedes="SOP-2024-0001",
        metadata={"language": "en", "pages": 6, "standards": ["ISO 9001", "ISO 13485"]},
        tags=("quality", "training"), label="internal",
        moves=(
            ("under_review", "ada", ""),
            ("reviewed", "ben", "Clear and complete."),
            ("approved", "cleo", ""),
            ("effective", "dan", "Training done."),
        ),
    ),
    Paper(
        number="SOP-2026-0001", title="Control of documents", kind="SOP", state="under_review",
        author="ada", reviewer="ben", approver="cleo", version=(2, 2),
        created=datetime(2026, 4, 20, 7, 45, 0, 1, tzinfo=UTC), supersedes="SOP-2025-0001",
        metadata={"language": "en", "pages": 7, "standards": ["ISO 9001:2026"], "draft": None},
        tags=("quality", "electronic signature"), label_from="SOP-2025-0001",
        moves=(("under_review", "ada", "Now with electronic signatures."),),
    ),
    Paper(
        number="POL-2026-0001", title="Information security policy", kind="POL", state="draft",
        author="eva", reviewer="ben", approver="hana", version=(0, 1),
        created=datetime(2026, 5, 4, 13, 31, 41, 271828, tzinfo=UTC),
        metadata={"language": "en", "audience": {"departments": ["QA", "PROD"], "external": False}},
        tags=("security",), label="confidential",
        moves=(
            ("under_review", "eva", ""),
            ("draft", "ben", "Section 3 contradicts the password rules. “Ænderung” nötig."),
        ),
    ),
    Paper(
        number="WI-2026-0001", title="Calibration of scales", kind="WI", state="reviewed",
        author="eva", reviewer="ben", approver="gil", version=(0, 1),
        created=datetime(2026, 6, 15, 6, 5, 4, 30201, tzinfo=UTC),
        metadata={"equipment": [{"id": "SC-07", "tolerance_g": 0.05}], "notes": ""},
        tags=("laboratory", "training"), label_from="SOP-2025-0001", manual_of="Vogel Waagen",
        moves=(("under_review", "eva", ""), ("reviewed", "ben", "Checked against SC-07.")),
    ),
)  # fmt: skip

DEPENDENCIES = (
    ("WI-2026-0001", "SOP-2025-0001", "implements", "Chapter 4"),
    ("POL-2026-0001", "SOP-2025-0001", "references", ""),
    ("SOP-2026-0001", "POL-2026-0001", "references", "Access rights"),
)


def seed_papers(people: dict[str, User]) -> None:
    """Add the documents, files and workflows that are missing."""
    for paper in PAPERS:
        if not Document.objects.filter(document_number=paper.number).exists():
            with acting(people[paper.author]):
                _seed_paper(paper, people)
            NumberSeries.objects.get_or_create(
                document_type=DocumentType.objects.get(code=paper.kind),
                year=paper.created.year,
                defaults={"last_number": 1},
            )
    by_number = Document.objects.in_bulk(
        [paper.number for paper in PAPERS], field_name="document_number"
    )
    for number, other, kind, note in DEPENDENCIES:
        DocumentDependency.objects.get_or_create(
            document=by_number[number],
            depends_on=by_number[other],
            kind=kind,
            defaults={"note": note},
        )


def _seed_paper(paper: Paper, people: dict[str, User]) -> None:
    effective = paper.created + timedelta(days=21) if paper.version[1] == 0 else None
    model: type[Document] = ExternalDocument if paper.manual_of else Document
    manual = {"publisher": paper.manual_of, "edition": "3", "reference": "SC-07/M"}
    document: Document = model._base_manager.create(
        **(manual if paper.manual_of else {}),
        source=DocumentSource.objects.get(code="supplier" if paper.manual_of else "internal"),
        department=people[paper.author].department,
        sensitivity=SensitivityLabel.objects.filter(code=paper.label).first(),
        sensitivity_from=Document.objects.filter(document_number=paper.label_from).first(),
        document_number=paper.number,
        title=paper.title,
        description=f"{paper.title}, as practised since {paper.created.year}.",
        document_type=DocumentType.objects.get(code=paper.kind),
        state_id=paper.state,
        author=people[paper.author],
        reviewer=people[paper.reviewer],
        approver=people[paper.approver],
        supersedes=Document.objects.filter(document_number=paper.supersedes).first(),
        metadata=paper.metadata,
        effective_date=effective.date() if effective else None,
        review_due=date(paper.created.year + 2, 3, 1) if paper.state == "effective" else None,
        created_at=paper.created,
    )
    document.tags.set([Tag.objects.get_or_create(name=name)[0] for name in paper.tags])
    version = _seed_version(paper, document)
    last = _seed_workflow(paper, version, people) if paper.moves else paper.created
    Document.objects.filter(pk=document.pk).update(updated_at=last + timedelta(seconds=1.000003))


def _seed_version(paper: Paper, document: Document) -> DocumentVersion:
    name = f"{paper.title.lower().replace(' ', '-')}.{'txt' if paper.kind == 'WI' else 'pdf'}"
    lines = [f"{paper.number}, version {paper.version[0]}.{paper.version[1]}", paper.title]
    is_text = name.endswith(".txt")
    content = "\n".join([*lines, ""]).encode() if is_text else pdf(lines[1], lines[:1])
    major, minor = paper.version
    version = DocumentVersion(
        document=document,
        major=major,
        minor=minor,
        file_name=name,
        content_type="text/plain" if is_text else "application/pdf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        change_summary="Revised." if paper.supersedes else "First version.",
        uploaded_by=document.author,
        created_at=paper.created + timedelta(hours=2, microseconds=77),
    )
    version.file.save(name, ContentFile(content), save=True)
    return version


def _seed_workflow(paper: Paper, version: DocumentVersion, people: dict[str, User]) -> datetime:
    """Write the workflow and its moves as they happened; returns the time of the last one."""
    document = version.document
    kind = WorkflowType.objects.get(code="approval")
    at = paper.created + timedelta(hours=3, microseconds=5)
    turn = {"draft": paper.author, "under_review": paper.reviewer, "reviewed": paper.approver}
    whose = turn.get(paper.state)
    workflow = DocumentWorkflow.objects.create(
        document=document,
        workflow_type=kind,
        state_id=paper.state,
        initiated_by=document.author,
        assignee=people[whose] if whose else None,
        started_at=at,
    )
    before = kind.initial_state_id
    for ordinal, (state, by, comment) in enumerate(paper.moves, start=1):
        at += timedelta(days=4, hours=1, microseconds=90001)
        made: DocumentTransition = DocumentTransition.objects.create(
            workflow=workflow,
            ordinal=ordinal,
            from_state_id=before,
            to_state_id=state,
            made_by=people[by],
            made_at=at,
            comment=comment,
        )
        if meaning := MEANINGS.get(state):
            sign(made, Signing(signer=people[by], meaning=meaning, time_zone="Europe/Berlin"))
        before = state
    if whose:
        workflow.due_date = (at + timedelta(days=kind.days_per_state)).date()
    else:
        workflow.completed_at = at
    workflow.save()
    return at
