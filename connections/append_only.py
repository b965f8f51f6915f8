"""The statements that make the history append-only in the database itself, whoever connects to it.

For the migration, and for the test that shows it. The one change allowed is that an actor who was deleted leaves the
entry without its link; the name they had stays.
"""

TABLE = "connections_auditentry"

SQLITE = (
    f"""
    CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON {TABLE}
      WHEN NOT (NEW.actor_id IS NULL AND NEW.id = OLD.id AND NEW.merchant_id IS OLD.merchant_id
                AND NEW.actor_name = OLD.actor_name AND NEW.at = OLD.at AND NEW.action = OLD.action
                AND NEW.object_type = OLD.object_type AND NEW.object_id = OLD.object_id
                AND NEW.object_name = OLD.object_name AND NEW.changes = OLD.changes AND NEW.reason = OLD.reason)
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END
    """,
    f"""
    CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON {TABLE}
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END
    """,
)
SQLITE_UNDO = ("DROP TRIGGER audit_is_never_edited", "DROP TRIGGER audit_is_never_deleted")

POSTGRESQL = (
    """
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.actor_id IS NULL
           AND to_jsonb(NEW) - 'actor_id' = to_jsonb(OLD) - 'actor_id' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'the history is append-only' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    f"""
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON {TABLE}
      FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()
    """,
)
POSTGRESQL_UNDO = (f"DROP TRIGGER audit_is_append_only ON {TABLE}", "DROP FUNCTION audit_is_append_only()")

STATEMENTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
UNDO = {"sqlite": SQLITE_UNDO, "postgresql": POSTGRESQL_UNDO}
