#!/bin/bash
# The part of the public PostgreSQL image's entrypoint that these tests use: POSTGRES_USER, POSTGRES_DB, and
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE.
set -euo pipefail
user=${POSTGRES_USER:-postgres}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA"
    as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    printf '%s\n' "$POSTGRES_PASSWORD" >"$PGDATA.password"
    chown postgres "$PGDATA.password"
    as_postgres initdb --username="$user" --pwfile="$PGDATA.password" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync >/dev/null
    rm "$PGDATA.password"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # Like the public image, creates the database with a server that only this container can reach.
    as_postgres pg_ctl -s -w start -o "-c listen_addresses=''"
    PGPASSWORD=$POSTGRES_PASSWORD as_postgres createdb --username="$user" "${POSTGRES_DB:-$user}" 2>/dev/null || true
    as_postgres pg_ctl -s -w stop
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@" -c listen_addresses='*'
