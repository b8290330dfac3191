"""Queries whose rows are the statements that make PostgreSQL tables like others, and their
sequences."""

TABLES = """
    SELECT c.relname, format('CREATE %%s TABLE %%s.%%I (LIKE %%I.%%I INCLUDING DEFAULTS'
           ' INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)%%s%%s',
           CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END, %(schema)s, c.relname,
           n.nspname, c.relname, ' PARTITION BY ' || pg_get_partkeydef(c.oid),
           ' USING ' || quote_ident(m.amname))
           -- PostgreSQL 18: LIKE makes them valid.
           || coalesce((SELECT string_agg(format('; ALTER TABLE %%s.%%I DROP CONSTRAINT %%I',
                                                %(schema)s, c.relname, k.conname), '')
                          FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n'
                           AND NOT k.convalidated), '')
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_am m ON m.oid = c.relam
     WHERE c.oid = ANY(%(oids)s) AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""

# The sequences of the columns, under their names, and the defaults that draw from one of them.
SEQUENCES = (
    """
    SELECT r.relname, CASE a.attidentity WHEN '' THEN
           format('CREATE %%s SEQUENCE %%s OWNED BY %%s.%%I',
                  CASE s.relpersistence WHEN 'u' THEN 'UNLOGGED' END, s.here, r.here, a.attname)
           ELSE format('ALTER TABLE %%s ALTER COLUMN %%I ADD GENERATED %%s AS IDENTITY'
                  ' (SEQUENCE NAME %%s)', r.here, a.attname,
                  CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, s.here) END
      FROM sequences s JOIN r ON r.oid = s.owner
      JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = s.attnum
    """,
    """
    SELECT r.relname, format('ALTER TABLE ONLY %%s ALTER COLUMN %%I SET DEFAULT %%s', r.here,
           a.attname, pg_get_expr(d.adbin, d.adrelid))
      FROM r JOIN pg_attrdef d ON d.adrelid = r.oid
      JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.adnum AND a.attgenerated = ''
     WHERE EXISTS (SELECT 1 FROM pg_depend p JOIN sequences s ON s.oid = p.refobjid
                    WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                      AND p.refclassid = 'pg_class'::regclass)
    """,
)
