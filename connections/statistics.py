"""Tells PostgreSQL how large a young table has become, before its own minute is over.

Beside the corridor, called by the clock. A table that was never looked at counts as nearly empty, and then any index
seems as good as any other: with a few thousand messages one look-up among them took fifteen times as long. PostgreSQL
looks once a minute; a shop's first minute is the one in which somebody watches.
"""

from django.db import connection

FEWEST = 300  # changed rows that are worth a look
OUTGROWN = """
    SELECT relid::regclass FROM pg_stat_user_tables AS told JOIN pg_class AS known ON known.oid = told.relid
     WHERE told.schemaname = current_schema() AND n_mod_since_analyze > GREATEST(%s, 2 * known.reltuples)
"""


def refresh() -> list[str]:
    """Count anew what has tripled since it was last counted; the names of these tables. Nothing to do on SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(OUTGROWN, [FEWEST])
        tables = [name for (name,) in cursor.fetchall()]
        for name in tables:
            cursor.execute(f"ANALYZE (SKIP_LOCKED) {name}")  # a name as PostgreSQL itself quotes it
    return tables
