"""The settings of a release to come, for its migrations: see `next_release`."""

from config.settings import *  # noqa: F403

MIGRATION_MODULES = {"webhooks_log": "tests.bench.next_release"}
