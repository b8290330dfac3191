#!/bin/sh
# The part of the official image's entry point that docker-compose.yml relies on: make the cluster,
# its user and its database on the first start, then run the server.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user="${POSTGRES_USER:-postgres}"
    # shellcheck disable=SC2086  # several options in one variable, as in the official image
    initdb --username="$user" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust \
        --encoding=UTF8 --locale=C ${POSTGRES_INITDB_ARGS:-}
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait -o "-c listen_addresses=''" start
    createdb --username="$user" "${POSTGRES_DB:-$user}"
    pg_ctl --wait stop
fi

exec "$@" -c listen_addresses='*'
