#!/bin/sh
# Backs the database up into one file:  deploy/backup.sh FILE
# Reads DATABASE_URL: PostgreSQL by pg_dump, SQLite by its own online backup; web and worker go on meanwhile.
# FIELD_KEYS and FINGERPRINT_KEY are not in it. Keep them elsewhere; without them stored Klaviyo keys cannot be read.
set -eu
file=${1:?"say into which file"}
umask 077
case ${DATABASE_URL:?"is not set"} in
  postgres*) pg_dump --format=custom --no-owner --dbname="$DATABASE_URL" --file="$file.part" ;;
  sqlite:///*) python3 - "${DATABASE_URL#sqlite:///}" "$file.part" <<'PYTHON'
import sqlite3, sys
source, target = (sqlite3.connect(name) for name in sys.argv[1:])
with target:
    source.backup(target)
target.close()
PYTHON
  ;;
  *) echo "Unknown kind of database." >&2; exit 1 ;;
esac
mv "$file.part" "$file" # a file of this name is whole
echo "Backed up into $file."
