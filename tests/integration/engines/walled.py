"""Live with functions and types besides its tables, and all that another client sees of it."""

from tests.integration.engines.live_database import LiveDatabase

LIVE = """
    CREATE FUNCTION there() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION change() RETURNS void LANGUAGE sql AS 'UPDATE public.planet SET gen = 8';
    CREATE TYPE colour AS ENUM ('red'); CREATE DOMAIN above AS int CHECK (VALUE > 0);
    CREATE SCHEMA theirs;
"""

CATALOGUE = """
    SELECT 'function', proname, prosrc, proacl::text, provolatile::text FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace
     UNION ALL SELECT 'type', typname, '', typacl::text, '' FROM pg_type
     WHERE typnamespace = 'public'::regnamespace
     UNION ALL SELECT 'enum', enumlabel, '', '', '' FROM pg_enum JOIN pg_type t ON t.oid = enumtypid
     WHERE t.typnamespace = 'public'::regnamespace
     UNION ALL SELECT 'schema', nspname, '', nspacl::text, '' FROM pg_namespace
     WHERE nspname !~ '^pg_(toast_)?temp'
     UNION ALL SELECT 'class', relname, relkind::text, relacl::text, '' FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
     UNION ALL SELECT 'extension', extname, '', '', '' FROM pg_extension
     UNION ALL SELECT 'defaults', defaclacl::text, '', '', '' FROM pg_default_acl
     UNION ALL SELECT 'large object', oid::text, '', '', '' FROM pg_largeobject_metadata
     ORDER BY 1, 2, 3
"""


def look(database: LiveDatabase) -> list[object]:
    """All of live, as another client sees it."""
    with database.client() as client:
        catalogue = client.execute(CATALOGUE).fetchall()
    return [database.live(), database.structure(), catalogue]
