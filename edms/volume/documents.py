"""Documents in any number, in batches, each with all that hangs on it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction

from edms.documents.models import (
    Document,
    DocumentSource,
    DocumentType,
    ExternalDocument,
    NumberSeries,
    SearchText,
    SensitivityLabel,
    Tag,
)
from edms.volume.chains import Planned, chains
from edms.volume.chance import Chance
from edms.volume.files import StockFile
from edms.volume.insertion import Keys, insert
from edms.volume.surroundings import Surroundings

BATCH = 1000
_TAGS = 40


class DocumentFactory:
    """Makes documents from plans and inserts them batch by batch."""

    def __init__(
        self, people: list[int], files: list[StockFile], chance: Chance, keys: Keys
    ) -> None:
        self.people, self.chance, self.keys = people, chance, keys
        self.kinds = dict(DocumentType.objects.order_by("code").values_list("code", "pk"))
        self.sources = list(DocumentSource.objects.order_by("code").values_list("pk", flat=True))
        self.labels = list(SensitivityLabel.objects.order_by("code").values_list("pk", flat=True))
        self.tags = _tags(keys)
        self.surroundings = Surroundings(people=people, files=files, chance=chance, keys=keys)
        self._numbers = {
            (series.document_type_id, series.year): series.last_number
            for series in NumberSeries.objects.all()
        }
        self._newest: int | None = None
        """Primary key of the chain's last document."""

    def generate(self, number: int, tell: Callable[[int], None]) -> None:
        """Insert `number` documents; `tell` is called with how many there are after each batch."""
        plans = chains(number, list(self.kinds), self.chance)
        done = 0
        while batch := list(islice(plans, BATCH)):
            with transaction.atomic():
                self._insert_batch(batch)
                # With each batch: whatever interrupts this, the next number and key are right.
                self._save_numbers()
                self.keys.settle()
            done += len(batch)
            tell(done)

    def _insert_batch(self, plans: list[Planned]) -> None:
        documents = [self._document(plan) for plan in plans]
        self._inherit_labels(documents)
        insert(documents)
        insert(list(self._external(documents)))
        insert(
            [
                SearchText(
                    document_id=document.pk,
                    number=document.document_number,
                    title=document.title,
                    keywords=document.description,
                    body="",
                )
                for document in documents
            ]
        )
        tagging: Any = Document.tags.through
        insert(
            [
                tagging(document_id=pk, tag_id=tag)
                for pk in (document.pk for document in documents)
                for tag in sorted(self.chance.sample(self.tags, self.chance.randrange(3)))
            ]
        )
        self.surroundings.insert(list(zip(plans, documents, strict=True)))

    def _document(self, plan: Planned) -> Document:
        chance = self.chance
        pk = self.keys.take(Document)
        author, reviewer, approver = chance.sample(self.people, 3)
        in_force = plan.is_final
        effective = (plan.created_at + timedelta(days=16)).date() if in_force else None
        document = Document(
            pk=pk,
            document_number=self._number(plan),
            title=plan.title,
            description=chance.remark() if chance.random() < 0.6 else "",
            document_type_id=self.kinds[plan.kind],
            source_id=chance.choice(self.sources),
            state_id=plan.state,
            author_id=author,
            reviewer_id=reviewer,
            approver_id=approver,
            supersedes_id=self._newest if plan.place else None,
            sensitivity_id=chance.choice(self.labels) if chance.random() < 0.7 else None,
            metadata=chance.metadata(pk),
            effective_date=effective,
            review_due=effective + timedelta(days=730)
            if effective and plan.state == "effective"
            else None,
            created_at=plan.created_at,
            updated_at=plan.created_at + timedelta(days=20),
        )
        self._newest = pk
        return document

    def _number(self, plan: Planned) -> str:
        series = (self.kinds[plan.kind], plan.created_at.year)
        self._numbers[series] = self._numbers.get(series, 0) + 1
        return f"{plan.kind}-{plan.created_at.year}-{self._numbers[series]:04d}"

    def _save_numbers(self) -> None:
        for (kind, year), last in sorted(self._numbers.items()):
            NumberSeries.objects.update_or_create(
                document_type_id=kind, year=year, defaults={"last_number": last}
            )

    def _inherit_labels(self, documents: list[Document]) -> None:
        labelled = [document for document in documents if document.sensitivity_id is not None]
        for document in documents:
            if labelled and document.sensitivity_id is None and self.chance.random() < 0.5:
                document.sensitivity_from_id = self.chance.choice(labelled).pk

    def _external(self, documents: list[Document]) -> Iterator[ExternalDocument]:
        for document in documents:
            if self.chance.random() < 0.01:
                yield ExternalDocument(
                    document_ptr_id=document.pk,
                    publisher=self.chance.choice(("ISO", "ASTM", "Vogel Waagen")),
                    edition=str(self.chance.randrange(1, 9)),
                    reference=f"REF {document.pk}",
                    url=f"https://example.com/{document.pk}",
                )


def _tags(keys: Keys) -> list[int]:
    wanted = [f"topic {row:02d}" for row in range(_TAGS)]
    known = set(Tag.objects.filter(name__in=wanted).values_list("name", flat=True))
    insert([Tag(pk=keys.take(Tag), name=name) for name in wanted if name not in known])
    tags = Tag.objects.filter(name__in=wanted).order_by("name")
    return list(tags.values_list("pk", flat=True))


def refresh_statistics() -> None:
    """Let the database look at the tables: plans made for empty ones are slow."""
    if connection.vendor in ("postgresql", "sqlite"):
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
