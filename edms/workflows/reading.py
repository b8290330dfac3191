"""“Read and understood”: who is to read a released document, and who has confirmed it."""

from collections.abc import Iterable

from django.db import models, transaction
from django.utils import timezone

from edms.documents.models import AccessLog, Document
from edms.documents.visibility import admits
from edms.notices.services import notify
from edms.users.models import User
from edms.users.permissions import Ability, abilities, standing_of
from edms.workflows.errors import Incomplete, MoveNotAllowed, NotYours
from edms.workflows.models import ReadingTask


def open_tasks(user: User) -> "models.QuerySet[ReadingTask]":
    """Return what `user` is to read now."""
    return ReadingTask.objects.filter(
        reader=user, confirmed_at__isnull=True, document__state="effective"
    )


def is_open(task: ReadingTask, user: User) -> bool:
    """Whether `user` is to do this task now: the rule of `open_tasks`, for one that is read."""
    return (
        task.reader_id == user.pk
        and task.confirmed_at is None
        and task.document.state_id == "effective"
    )


def may_assign(document: Document, user: User, may: frozenset[Ability]) -> bool:
    """Whether `user`, with the abilities `may`, says who reads this document.

    Its author does until it is released, document control until it leaves effect.
    """
    if document.state_id in ("superseded", "obsolete"):
        return False
    return Ability.PUBLISH in may or (
        document.author_id == user.pk and document.state_id != "effective"
    )


def assign(document: Document, people: Iterable[User], by: User) -> int:
    """Let `people` read the document; returns how many of them are new.

    Raises NotYours, or Incomplete that names those who could not open the document.
    """
    _check_may_assign(document, by)
    wanted = sorted(set(people), key=lambda person: person.username)
    closed = [str(person) for person in wanted if not admits(document, person, standing_of(person))]
    if closed:
        raise Incomplete(
            f"{document.document_number} is not open to {', '.join(closed)}: give them a role that "
            "its sensitivity label admits. Nobody was added."
        )
    with transaction.atomic():
        # The document's row is the lock: it may be released at this moment.
        locked = Document.objects.select_for_update().get(pk=document.pk)
        added = [
            person.pk
            for person in wanted
            if ReadingTask.objects.get_or_create(
                document=locked, reader=person, defaults={"assigned_by": by}
            )[1]
        ]
        if locked.state_id == "effective":
            notify(added, locked, f"Please read and confirm: {locked}")
    return len(added)


def unassign(task: ReadingTask, by: User) -> None:
    """Take a task back that was not confirmed yet."""
    _check_may_assign(task.document, by)
    if not ReadingTask.objects.filter(pk=task.pk, confirmed_at__isnull=True).exists():
        raise Incomplete("This was confirmed: it stays on record.")
    task.delete()


def take_over(old: Document, new: Document, by: User) -> None:
    """Let those who were to read a document read its revision too, if it will be open to them."""
    for person in User.objects.filter(reading_tasks__document=old, is_active=True):
        if admits(new, person, standing_of(person)):
            ReadingTask.objects.create(document=new, reader=person, assigned_by=by)


def tell_readers(document: Document) -> None:
    """Tell them that the document is released."""
    tasks = document.reading_tasks.filter(confirmed_at__isnull=True)
    readers = tasks.values_list("reader", flat=True)
    notify(list(readers), document, f"Please read and confirm: {document}")


def confirm(task: ReadingTask, by: User) -> None:
    """Record that the reader has read and understood the released file.

    Raises NotYours, MoveNotAllowed where the document is not in effect, Incomplete where the reader
    has not opened the file.
    """
    with transaction.atomic():
        locked: ReadingTask = ReadingTask.objects.select_for_update().get(pk=task.pk)
        if locked.reader_id != by.pk:
            raise NotYours("Everybody confirms for themselves.")
        document = locked.document
        if document.state_id != "effective":
            raise MoveNotAllowed(f"{document.document_number} is not in effect.")
        if locked.confirmed_at is not None:
            return
        version = document.versions.order_by("-position").first()
        if version is None:
            raise Incomplete(f"{document.document_number} has no file.")
        if not AccessLog.objects.filter(
            document=document,
            user=by,
            action=AccessLog.Action.DOWNLOAD,
            file_name=version.file_name,
            at__gte=version.created_at,
        ).exists():
            raise Incomplete(f"Open {version.file_name} first: you have not looked at it yet.")
        locked.confirmed_at = timezone.now()
        locked.sha256 = version.sha256
        locked.save()


def _check_may_assign(document: Document, by: User) -> None:
    if not may_assign(document, by, abilities(by)):
        raise NotYours(
            "Who reads a document is said by its author until it is released, "
            "and by document control."
        )
