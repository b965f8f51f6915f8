"""What the game day migrates to: all migrations of messages, and two more, as a release to come might bring them.

Used in the place of `webhooks_log.migrations` by `tests.bench.next_settings`, and only there.
"""

from webhooks_log import migrations

__path__ += list(migrations.__path__)
