"""`manage.py seed_demo`: fills the EDMS with a small company's documents."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from edms import defaults, environment
from edms.demo import PASSWORD
from edms.demo.papers import seed_papers
from edms.demo.people import seed_people
from edms.demo.traces import seed_traces
from edms.documents.models import Document, DocumentVersion
from edms.users.models import User
from edms.workflows.models import DocumentWorkflow


class Command(BaseCommand):
    """Adds what is missing of the demonstration data; running it again changes nothing, but for
    the password of `admin` where that is asked for."""

    help = "Fill the EDMS with demonstration data: 10 users, 5 documents with files, 4 workflows."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--admin",
            action="store_true",
            help="Give admin, who may do everything, the password of EDMS_ADMIN_PASSWORD.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, and print the figures and how to sign in."""
        with transaction.atomic():
            defaults.seed("default")
            people = seed_people()
            seed_papers(people)
            seed_traces(people)
            if options["admin"]:
                _give_admin_a_password()
        self.stdout.write(
            f"Users {User.objects.count()}, documents {Document.objects.count()}, "
            f"workflows {DocumentWorkflow.objects.count()}, files {DocumentVersion.objects.count()}"
        )
        self.stdout.write(
            f"Sign in as {', '.join(people)} with the demonstration password: {PASSWORD}"
        )


def _give_admin_a_password() -> None:
    password = environment.secret("EDMS_ADMIN_PASSWORD")
    if not password:
        raise CommandError("EDMS_ADMIN_PASSWORD is not set, so admin can't be given its password.")
    admin = User.objects.get(username=defaults.ADMIN_USER)
    admin.set_password(password)
    admin.save(update_fields=["password"])
