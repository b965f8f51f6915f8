"""SQLite for several processes that write; named by the settings as the database's engine. See base.py."""
