"""Gives documents their numbers, per type and year, without gaps or doubles."""

from datetime import date

from django.db import transaction
from django.utils import timezone

from edms.documents.models import DocumentType, NumberSeries


def next_number(kind: DocumentType, day: date | None = None) -> str:
    """Take the next number of the type's series for the year of `day` (default: today).

    `SOP-2026-0007`. Two callers at once get two numbers: the series' row is locked until the end of
    the transaction, which should save the document too.
    """
    year = (day or timezone.now().date()).year
    with transaction.atomic():
        NumberSeries.objects.get_or_create(document_type=kind, year=year)
        series: NumberSeries = NumberSeries.objects.select_for_update().get(
            document_type=kind, year=year
        )
        series.last_number += 1
        series.save(update_fields=["last_number"])
    return f"{kind.code}-{year}-{series.last_number:04d}"
