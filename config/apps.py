"""The shell: Django's admin, opened for people who have a place at a merchant."""

from django.contrib.admin.apps import AdminConfig

from config import observing


class ShellConfig(AdminConfig):
    default_site = "config.site.Shell"

    def ready(self) -> None:
        super().ready()
        observing.start()
