"""`manage.py klaviyo_sandbox --port N` starts the stand-in for Klaviyo.

One of the three processes of `make run`, and the far end of the corridor there.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connections.klaviyo.sandbox.__main__ import add_options, main


class Command(BaseCommand):
    help = "Serve a stand-in for Klaviyo's API on 127.0.0.1 until stopped."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = ["--port", str(options["port"])]
        if main([*arguments, *(["--until-input-ends"] if options["until_input_ends"] else [])]):
            raise CommandError("The Klaviyo sandbox could not start.")
