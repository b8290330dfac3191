"""What hangs on a generated document: versions, workflow, comments, audit rows, looks, notices."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models

from edms.audit.models import AuditEntry
from edms.documents.models import (
    AccessLog,
    Attachment,
    Comment,
    Document,
    DocumentDependency,
    DocumentVersion,
)
from edms.notices.models import Notification
from edms.users.models import User
from edms.volume.chains import Planned
from edms.volume.chance import Chance
from edms.volume.files import StockFile
from edms.volume.insertion import Keys, insert
from edms.workflows.models import (
    DocumentTransition,
    DocumentWorkflow,
    ElectronicSignature,
    PeriodicReview,
    ReadingTask,
    WorkflowType,
)
from edms.workflows.signing import MEANINGS

Made = tuple[Planned, Document]

DEEPEST_THREAD = 12
_DAY = timedelta(days=1)


class Surroundings:
    """Makes the rows that belong to documents."""

    def __init__(
        self, *, people: list[int], files: list[StockFile], chance: Chance, keys: Keys
    ) -> None:
        self.people, self.files, self.chance, self.keys = people, files, chance, keys
        names = User.objects.filter(pk__in=people)
        self.names = dict(names.values_list("pk", "username"))
        self.approval = WorkflowType.objects.get(code="approval").pk
        self.document_type = ContentType.objects.get_for_model(Document).pk

    def insert(self, made: list[Made]) -> None:
        """Insert everything that belongs to these documents, table by table."""
        tables: dict[type[models.Model], list[Any]] = {}
        for plan, document in made:
            for row in self._rows(plan, document):
                tables.setdefault(type(row), []).append(row)
        for rows in tables.values():
            insert(rows)
        insert(list(self._dependencies([document for _, document in made])))

    def _rows(self, plan: Planned, document: Document) -> Iterator[models.Model]:
        versions = list(self._versions(plan, document))
        yield from versions
        yield from self._workflow(plan, document, versions[-1])
        yield from self._comments(document)
        yield from self._audit(plan, document)
        yield from self._looks(document)
        if self.chance.random() < 0.05:
            file = self._file(document.created_at, document)
            yield Attachment(id=self.chance.uuid(), document_id=document.pk, **file)
        if self.chance.random() < 0.2:
            at = document.created_at + 2 * _DAY
            yield Notification(
                pk=self.keys.take(Notification),
                event_id=self.chance.uuid(),
                recipient_id=document.author_id,
                document_id=document.pk,
                text=f"{document.document_number}: under review.",
                created_at=at,
                read_at=at + _DAY if self.chance.random() < 0.8 else None,
            )
        if document.review_due is not None:
            yield PeriodicReview(
                pk=self.keys.take(PeriodicReview),
                document_id=document.pk,
                sequence=1,
                due_date=document.review_due,
                reviewer_id=document.reviewer_id,
            )
        if plan.is_final:
            yield from self._readings(document, versions[-1].sha256)

    def _readings(self, document: Document, sha256: str) -> Iterator[ReadingTask]:
        released = document.created_at + 20 * _DAY
        for reader in self.chance.sample(self.people, self.chance.randrange(3)):
            confirmed = self.chance.random() < 0.8
            yield ReadingTask(
                pk=self.keys.take(ReadingTask),
                document_id=document.pk,
                reader_id=reader,
                assigned_by_id=document.author_id,
                assigned_at=document.created_at,
                confirmed_at=released + _DAY if confirmed else None,
                sha256=sha256 if confirmed else "",
            )

    def _file(self, at: Any, document: Document) -> dict[str, Any]:
        stock = self.chance.choice(self.files)
        return {
            "file": stock.name,
            "file_name": stock.file_name,
            "content_type": stock.content_type,
            "size": stock.size,
            "sha256": stock.sha256,
            "uploaded_by_id": document.author_id,
            "created_at": at,
        }

    def _versions(self, plan: Planned, document: Document) -> Iterator[DocumentVersion]:
        drafts = self.chance.randrange(1, 4)
        for minor in range(1, drafts + 1):
            last = minor == drafts and plan.is_final
            yield DocumentVersion(
                pk=self.keys.take(DocumentVersion),
                document_id=document.pk,
                major=plan.place + 1 if last else plan.place,
                minor=0 if last else minor,
                change_summary=self.chance.remark(),
                **self._file(document.created_at + minor * _DAY / 7, document),
            )

    def _workflow(
        self, plan: Planned, document: Document, version: DocumentVersion
    ) -> Iterator[models.Model]:
        reviewer, approver = document.reviewer_id, document.approver_id
        assert reviewer is not None
        assert approver is not None
        at = document.created_at + _DAY / 3
        pk = self.keys.take(DocumentWorkflow)
        made_by = {
            "under_review": document.author_id,
            "reviewed": reviewer,
            "draft": reviewer,
        }
        moves = []
        before = "draft"
        for ordinal, state in enumerate(plan.path, start=1):
            at += self.chance.random() * 5 * _DAY
            moves.append(
                DocumentTransition(
                    pk=self.keys.take(DocumentTransition),
                    workflow_id=pk,
                    ordinal=ordinal,
                    from_state_id=before,
                    to_state_id=state,
                    made_by_id=made_by.get(state, approver),
                    made_at=at,
                    comment=self.chance.remark() if self.chance.random() < 0.3 else "",
                )
            )
            before = state
        turn = {
            "draft": document.author_id,
            "under_review": document.reviewer_id,
            "reviewed": document.approver_id,
        }
        yield DocumentWorkflow(
            pk=pk,
            document_id=document.pk,
            workflow_type_id=self.approval,
            sequence=1,
            state_id=plan.state,
            initiated_by_id=document.author_id,
            assignee_id=turn.get(plan.state),
            due_date=None if plan.is_final else (at + 14 * _DAY).date(),
            started_at=document.created_at + _DAY / 3,
            completed_at=at if plan.is_final else None,
        )
        yield from moves
        yield from self._signatures(moves, version)

    def _signatures(
        self, moves: list[DocumentTransition], version: DocumentVersion
    ) -> Iterator[ElectronicSignature]:
        for move in moves:
            if meaning := MEANINGS.get(move.to_state_id):
                yield ElectronicSignature(
                    pk=self.keys.take(ElectronicSignature),
                    transition_id=move.pk,
                    version_id=version.pk,
                    signer_id=move.made_by_id,
                    meaning=meaning,
                    printed_name=self.names[move.made_by_id],
                    version_number=version.number,
                    sha256=version.sha256,
                    signed_at=move.made_at,
                    local_time=f"{move.made_at:%Y-%m-%d %H:%M:%S} UTC",
                )

    def _comments(self, document: Document) -> Iterator[Comment]:
        chance = self.chance
        deep = chance.random() < 0.01
        number = DEEPEST_THREAD if deep else int(chance.expovariate(0.9))
        pks: list[int] = []
        for ordinal in range(1, min(number, DEEPEST_THREAD) + 1):
            pks.append(self.keys.take(Comment))
            at = document.created_at + ordinal * _DAY / 5
            answered = (pks[-2] if deep else chance.choice(pks[:-1])) if len(pks) > 1 else None
            yield Comment(
                pk=pks[-1],
                document_id=document.pk,
                ordinal=ordinal,
                parent_id=answered if deep or chance.random() < 0.6 else None,
                author_id=chance.choice(self.people),
                text=chance.remark(),
                created_at=at,
                withdrawn_at=at + _DAY if chance.random() < 0.03 else None,
            )

    def _audit(self, plan: Planned, document: Document) -> Iterator[AuditEntry]:
        names = {"object_id": str(document.pk), "object_name": str(document)[:200]}
        changes: list[tuple[str, dict[str, list[Any]]]] = [
            (
                "created",
                {
                    "title": [None, document.title],
                    "author_id": [None, document.author_id],
                    "document_type_id": [None, document.document_type_id],
                },
            )
        ]
        if plan.path:
            changes.append(("changed", {"state_id": ["draft", plan.state]}))
        for row, (action, columns) in enumerate(changes):
            yield AuditEntry(
                pk=self.keys.take(AuditEntry),
                event_id=self.chance.uuid(),
                content_type_id=self.document_type,
                action=action,
                actor_id=document.author_id,
                changes=columns,
                at=document.created_at + row * _DAY,
                **names,
            )

    def _looks(self, document: Document) -> Iterator[AccessLog]:
        for row in range(self.chance.randrange(3)):
            yield AccessLog(
                pk=self.keys.take(AccessLog),
                event_id=self.chance.uuid(),
                document_id=document.pk,
                user_id=self.chance.choice(self.people),
                action="view" if row else "download",
                file_name="" if row else "file-00001.txt",
                address=f"192.0.2.{self.chance.randrange(1, 255)}",
                at=document.created_at + (row + 30) * _DAY,
            )

    def _dependencies(self, documents: list[Document]) -> Iterator[DocumentDependency]:
        for document in documents:
            other = self.chance.choice(documents)
            if other is not document and self.chance.random() < 0.3:
                yield DocumentDependency(
                    pk=self.keys.take(DocumentDependency),
                    document_id=document.pk,
                    depends_on_id=other.pk,
                    kind=self.chance.choice(DocumentDependency.Kind.values),
                )
