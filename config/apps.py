"""The shell: Django's admin, opened for people who have a place at a merchant."""

from django.contrib.admin.apps import AdminConfig


class ShellConfig(AdminConfig):
    default_site = "config.site.Shell"
