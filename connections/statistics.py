"""Tells PostgreSQL how large a young table has become, before its own minute is over.

Beside the corridor, called by the clock. A table that was never looked at counts as nearly empty, and then any index
seems as good as any other: with a few thousand messages one look-up among them took fifteen times as long. PostgreSQL
looks once a minute; a shop's first minute is the one in which somebody watches.
"""

import logging

from django.db import DatabaseError, connection

logger = logging.getLogger("viaduct.statistics")

FEWEST = 300  # rows that are worth a look
OUTGROWN = """
    SELECT relid::regclass FROM pg_stat_user_tables AS told JOIN pg_class AS known ON known.oid = told.relid
     WHERE told.relname = ANY(%s) AND pg_table_is_visible(told.relid) AND pg_has_role(known.relowner, 'USAGE')
       AND told.n_live_tup > GREATEST(%s, 3 * known.reltuples)
"""


def refresh() -> list[str]:
    """Count anew what has tripled since it was last counted; the names of these tables. Nothing to do on SQLite.

    Only tables of ours, and only as their owner. A count that fails costs nothing: PostgreSQL's own comes all the same.
    """
    if connection.vendor != "postgresql":
        return []
    ours = connection.introspection.django_table_names(include_views=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute(OUTGROWN, [ours, FEWEST])
            tables = [name for (name,) in cursor.fetchall()]
            for name in tables:
                cursor.execute(f"ANALYZE (SKIP_LOCKED) {name}")  # a name as PostgreSQL itself quotes it
    except DatabaseError as error:
        logger.warning("A young table could not be counted: %s", error)
        return []
    return tables
