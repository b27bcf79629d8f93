#!/bin/sh
# Entry point of matricula-test/postgres: makes a cluster, then becomes the server.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
PGDATA=${PGDATA:-/var/lib/postgresql/data}
: "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:?}" "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_INITDB_ARGS:=}"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA"
    secret=$(as_postgres mktemp)
    printf '%s' "$POSTGRES_PASSWORD" >"$secret"
    # A cluster of one test run need not survive a power cut.
    # shellcheck disable=SC2086 # the arguments are meant to be split
    as_postgres "$bin/initdb" -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$secret" --auth=scram-sha-256 \
        --no-sync $POSTGRES_INITDB_ARGS
    rm -f "$secret"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        echo "CREATE DATABASE \"$POSTGRES_DB\"" | as_postgres "$bin/postgres" --single -D "$PGDATA" postgres >/dev/null
    fi
fi
install -d -o postgres -g postgres -m 2775 /var/run/postgresql
if [ "${1:-postgres}" = postgres ]; then
    [ $# -eq 0 ] || shift
    set -- "$bin/postgres" -D "$PGDATA" -c listen_addresses='*' "$@"
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
