#!/bin/sh
# Restores a backup into an empty database:  deploy/restore.sh FILE
# Stop web and worker first. Afterwards: manage.py migrate, manage.py doctor, repeat erasures (docs/operations.md), start.
set -eu
file=${1:?"say from which file"}
case ${DATABASE_URL:?"is not set"} in
  postgres*) pg_restore --exit-on-error --single-transaction --no-owner --dbname="$DATABASE_URL" "$file" ;;
  sqlite:///*)
    path=${DATABASE_URL#sqlite:///}
    [ ! -e "$path" ] || { echo "$path exists. Put it away first." >&2; exit 1; }
    cp "$file" "$path" ;;
  *) echo "Unknown kind of database." >&2; exit 1 ;;
esac
echo "Restored from $file."
