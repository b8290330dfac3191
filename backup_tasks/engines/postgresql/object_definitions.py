"""What hangs on PostgreSQL tables, as the statements that make it.

One query per kind of object, for all tables at once. Each returns (table's oid, kind, name, text).
The text is a statement that makes the object on the table of the same name in the schema
`%(schema)s`, or, for the kinds of COMPARED, a description. So the statements of live, told for the
staging schema, are what makes a clone; and two schemas are equal where both, told for the same
schema, give the same texts.

What a text names without a schema is found on the search path: see `table_definitions`.
"""

from __future__ import annotations

from typing import NamedTuple


class Definition(NamedTuple):
    """One object of a table."""

    table: str
    kind: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.table}: {self.kind} {self.name}: {self.text}"


COMPARED = frozenset({"table", "column"})
"""Kinds that come with the table itself; their texts are no statements."""
NAMED = frozenset({"not null", "constraint", "index", "statistics", "trigger", "rule", "policy"})
"""Kinds of which a table has one of a name: making it again is an error."""

RELATIONS = """
    WITH r AS (
        SELECT c.*, format('%%I.%%I', n.nspname, c.relname) AS there,
               %(schema)s || '.' || quote_ident(c.relname) AS here,
               CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS word,
               CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE ONLY' END AS altered,
               CASE c.relkind WHEN 'p' THEN ' ON ONLY ' ELSE ' ON ' END AS on_it
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = ANY(%(oids)s)),
    sequences AS (
        SELECT d.refobjid AS owner, d.refobjsubid AS attnum, d.deptype, s.*,
               %(schema)s || '.' || quote_ident(s.relname) AS here
          FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND d.deptype IN ('a', 'i') AND d.refobjid = ANY(%(oids)s)),
    indexes AS (
        SELECT x.*, i.relname, i.reloptions, i.reltablespace, i.relkind,
               %(schema)s || '.' || quote_ident(i.relname) AS here
          FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
         WHERE x.indrelid = ANY(%(oids)s)),
    constraints AS (
        SELECT k.* FROM pg_constraint k WHERE k.conrelid = ANY(%(oids)s)
           AND k.contype IN ('p', 'u', 'x', 'c', 'n', 'f')
           AND (k.contype <> 'f' OR k.confrelid = ANY(%(oids)s) AND k.conparentid = 0)),
    belongings AS (
        SELECT oid AS owner, 'pg_class'::regclass::oid AS classoid, oid AS objoid, 0 AS objsubid,
               word, here AS name FROM r
         UNION ALL
        SELECT a.attrelid, 'pg_class'::regclass::oid, a.attrelid, a.attnum, 'COLUMN',
               r.here || '.' || quote_ident(a.attname)
          FROM r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT attisdropped
         UNION ALL
        SELECT owner, 'pg_class'::regclass::oid, oid, 0, 'SEQUENCE', here FROM sequences
         UNION ALL
        SELECT indrelid, 'pg_class'::regclass::oid, indexrelid, 0, 'INDEX', here FROM indexes
         UNION ALL
        SELECT conrelid, 'pg_constraint'::regclass::oid, k.oid, 0, 'CONSTRAINT',
               quote_ident(conname) || ' ON ' || r.here
          FROM constraints k JOIN r ON r.oid = k.conrelid
         UNION ALL
        SELECT tgrelid, 'pg_trigger'::regclass::oid, t.oid, 0, 'TRIGGER',
               quote_ident(tgname) || ' ON ' || r.here
          FROM pg_trigger t JOIN r ON r.oid = t.tgrelid AND NOT tgisinternal
         UNION ALL
        SELECT ev_class, 'pg_rewrite'::regclass::oid, w.oid, 0, 'RULE',
               quote_ident(rulename) || ' ON ' || r.here
          FROM pg_rewrite w JOIN r ON r.oid = w.ev_class
         UNION ALL
        SELECT polrelid, 'pg_policy'::regclass::oid, p.oid, 0, 'POLICY',
               quote_ident(polname) || ' ON ' || r.here
          FROM pg_policy p JOIN r ON r.oid = p.polrelid
         UNION ALL
        SELECT stxrelid, 'pg_statistic_ext'::regclass::oid, oid, 0, 'STATISTICS',
               %(schema)s || '.' || quote_ident(stxname)
          FROM pg_statistic_ext WHERE stxrelid = ANY(%(oids)s)),
    privileges AS (
        SELECT r.oid AS owner, r.relname AS name, r.here, 'TABLE' AS word, r.relowner AS role,
               r.relacl AS acl, acldefault('r', r.relowner) AS usual, NULL AS columns FROM r
         UNION ALL
        SELECT s.owner, s.relname, s.here, 'SEQUENCE', s.relowner,
               s.relacl, acldefault('s', s.relowner), NULL FROM sequences s
         UNION ALL
        SELECT r.oid, r.relname || '.' || a.attname, r.here, 'TABLE', r.relowner,
               a.attacl, '{}'::aclitem[], format(' (%%I)', a.attname)
          FROM r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attacl IS NOT NULL
         WHERE a.attnum > 0 AND NOT a.attisdropped),
    grants AS (
        SELECT p.owner, p.name, p.here, p.word, p.role, p.columns, g.grantor, g.grantee,
               string_agg(g.privilege_type || coalesce(p.columns, ''), ', '
                          ORDER BY g.privilege_type)
               || ' ON ' || p.word || ' ' || p.here || ' TO '
               || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END
               || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS granted,
               min(g.place) AS place
          FROM privileges p LEFT JOIN LATERAL aclexplode(p.acl) WITH ORDINALITY
               g (grantor, grantee, privilege_type, is_grantable, place) ON true
         WHERE NOT (p.acl @> p.usual AND p.acl <@ p.usual)
         GROUP BY p.owner, p.name, p.here, p.word, p.role, p.columns, g.grantor, g.grantee,
                  g.is_grantable)
"""

# In the order in which they are made.
DEFINITIONS = (
    """
    SELECT r.oid, 'table', 'itself', concat_ws(' ', r.relkind, r.relpersistence, m.amname,
           pg_get_partkeydef(r.oid))
      FROM r LEFT JOIN pg_am m ON m.oid = r.relam
    """,
    """
    SELECT a.attrelid, 'column', a.attname, concat_ws(' ',
           row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
           format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attnotnull THEN 'not null' END, a.attidentity, a.attgenerated,
           pg_get_expr(d.adbin, d.adrelid),
           CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
           a.attstorage, a.attcompression, s.relname, s.relpersistence)
      FROM r JOIN pg_attribute a ON a.attrelid = r.oid
      JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN sequences s ON s.owner = a.attrelid AND s.attnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum
    """,
    """
    SELECT s.owner, 'sequence', s.relname, format('ALTER SEQUENCE %%s AS %%s INCREMENT BY %%s'
           ' MINVALUE %%s MAXVALUE %%s START WITH %%s CACHE %%s %%s', s.here,
           format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax, q.seqstart,
           q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
      FROM sequences s JOIN pg_sequence q ON q.seqrelid = s.oid
    """,
    # Those of partitions first, so that those of their tables are merged with them.
    """
    SELECT k.conrelid, CASE k.contype WHEN 'n' THEN 'not null' ELSE 'constraint' END, k.conname,
           format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', r.here, k.conname,
                  pg_get_constraintdef(k.oid))
      FROM constraints k JOIN r ON r.oid = k.conrelid WHERE k.contype IN ('c', 'n')
     ORDER BY (SELECT count(*) FROM pg_partition_ancestors(r.oid)) DESC, k.oid
    """,
    # From the top down, so that an identity reaches all levels.
    """
    SELECT c.oid, 'partition', 'itself', format('ALTER TABLE ONLY %%s ATTACH PARTITION %%s %%s',
           r.here, c.here, pg_get_expr(c.relpartbound, c.oid))
      FROM r c JOIN pg_inherits h ON h.inhrelid = c.oid JOIN r ON r.oid = h.inhparent
     -- From above: an identity goes to the partition that is attached, and not to its own (17).
     WHERE c.relispartition
     ORDER BY (SELECT count(*) FROM pg_partition_ancestors(c.oid)), c.oid
    """,
    # ONLY: a partition's keys and indexes have names of their own.
    """
    SELECT k.conrelid, 'constraint', k.conname, format('ALTER TABLE ONLY %%s ADD CONSTRAINT %%I'
           ' %%s', r.here, k.conname, pg_get_constraintdef(k.oid))
      FROM constraints k JOIN r ON r.oid = k.conrelid
     WHERE k.contype NOT IN ('c', 'n', 'f') ORDER BY k.oid
    """,
    """
    SELECT x.indrelid, 'index', x.relname, replace(pg_get_indexdef(x.indexrelid),
           r.on_it || r.there || ' USING ', r.on_it || r.here || ' USING ')
      FROM indexes x JOIN r ON r.oid = x.indrelid
     WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = x.indexrelid
                          AND k.contype IN ('p', 'u', 'x'))
     ORDER BY x.indexrelid
    """,
    """
    SELECT x.indrelid, 'index partition', x.relname,
           format('ALTER INDEX %%s ATTACH PARTITION %%s', p.here, x.here)
      FROM indexes x JOIN pg_inherits h ON h.inhrelid = x.indexrelid
      JOIN indexes p ON p.indexrelid = h.inhparent
    """,
    """
    SELECT k.conrelid, 'constraint', k.conname, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s',
           r.here, k.conname, pg_get_constraintdef(k.oid))
      FROM constraints k JOIN r ON r.oid = k.conrelid
     WHERE k.contype = 'f' ORDER BY k.oid
    """,
    """
    SELECT o.owner, 'storage parameters', o.name, format('ALTER %%s %%s SET (%%s)',
           o.word, o.here, string_agg(o.prefix || format('%%I=%%L', p.option_name, p.option_value),
                                      ', ' ORDER BY o.prefix, p.place))
      FROM (SELECT oid AS owner, 'itself' AS name, altered AS word, here, '' AS prefix, reloptions
              FROM r
             UNION ALL
            SELECT r.oid, 'itself', r.altered, r.here, 'toast.', t.reloptions
              FROM r JOIN pg_class t ON t.oid = r.reltoastrelid
             UNION ALL
            SELECT indrelid, relname, 'INDEX', here, '', reloptions FROM indexes
             WHERE EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = indexrelid)) o,
           pg_options_to_table(o.reloptions) WITH ORDINALITY p (option_name, option_value, place)
     GROUP BY o.owner, o.name, o.word, o.here
    """,
    """
    SELECT o.owner, 'tablespace', o.name, format('ALTER %%s %%s SET TABLESPACE %%I',
           o.word, o.here, t.spcname)
      FROM (SELECT oid AS owner, 'itself' AS name, altered AS word, here, reltablespace FROM r
             UNION ALL
            SELECT indrelid, relname, 'INDEX', here, reltablespace FROM indexes) o
      JOIN pg_tablespace t ON t.oid = o.reltablespace
    """,
    """
    SELECT o.owner, 'statistics target', o.name || '.' || a.attname,
           format('ALTER %%s %%s ALTER COLUMN %%s SET STATISTICS %%s', o.word, o.here,
                  CASE o.word WHEN 'INDEX' THEN a.attnum::text ELSE quote_ident(a.attname) END,
                  a.attstattarget)
      FROM (SELECT oid AS owner, oid AS relation, relname AS name, altered AS word, here FROM r
             UNION ALL
            SELECT indrelid, indexrelid, relname, 'INDEX', here FROM indexes) o
      JOIN pg_attribute a ON a.attrelid = o.relation AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attstattarget >= 0
    """,
    """
    SELECT a.attrelid, 'column options', a.attname,
           format('ALTER %%s %%s ALTER COLUMN %%I SET (%%s)', r.altered, r.here, a.attname,
                  (SELECT string_agg(format('%%I=%%L', option_name, option_value), ', '
                          ORDER BY option_name) FROM pg_options_to_table(a.attoptions)))
      FROM r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE a.attoptions IS NOT NULL
    """,
    """
    SELECT r.oid, 'replica identity', 'itself',
           'ALTER TABLE ONLY ' || r.here || ' REPLICA IDENTITY '
           || CASE r.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                   ELSE 'USING INDEX ' || coalesce(quote_ident(x.relname), 'that is gone') END
      FROM r LEFT JOIN indexes x ON x.indrelid = r.oid AND x.indisreplident
     WHERE r.relreplident <> 'd' AND r.relkind <> 'm'
    """,
    """
    SELECT r.oid, 'cluster', 'itself', format('ALTER %%s %%s CLUSTER ON %%I', r.altered, r.here,
           x.relname)
      FROM r JOIN indexes x ON x.indrelid = r.oid AND x.indisclustered
    """,
    """
    SELECT s.stxrelid, 'statistics', s.stxname, replace(pg_get_statisticsobjdef(s.oid),
           format('CREATE STATISTICS %%I.%%I', n.nspname, s.stxname),
           format('CREATE STATISTICS %%s.%%I', %(schema)s, s.stxname))
      FROM pg_statistic_ext s JOIN r ON r.oid = s.stxrelid
      JOIN pg_namespace n ON n.oid = s.stxnamespace
    """,
    """
    SELECT s.stxrelid, 'statistics target', s.stxname,
           format('ALTER STATISTICS %%s.%%I SET STATISTICS %%s', %(schema)s, s.stxname,
                  s.stxstattarget)
      FROM pg_statistic_ext s JOIN r ON r.oid = s.stxrelid WHERE s.stxstattarget >= 0
    """,
    """
    SELECT t.tgrelid, 'trigger', t.tgname, replace(pg_get_triggerdef(t.oid),
           ' ON ' || r.there || ' ', ' ON ' || r.here || ' ')
      FROM pg_trigger t JOIN r ON r.oid = t.tgrelid
     WHERE NOT t.tgisinternal AND t.tgparentid = 0
    """,
    """
    SELECT w.ev_class, 'rule', w.rulename, replace(pg_get_ruledef(w.oid), ' TO ' || r.there,
           ' TO ' || r.here)
      FROM pg_rewrite w JOIN r ON r.oid = w.ev_class WHERE r.relkind <> 'm'
    """,
    """
    SELECT o.owner, o.kind, o.name, format('ALTER TABLE ONLY %%s %%s %%s %%I', r.here,
           CASE o.state WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                ELSE 'ENABLE ALWAYS' END, o.word, o.name)
      FROM (SELECT tgrelid AS owner, 'trigger state' AS kind, tgname AS name, tgenabled AS state,
                   'TRIGGER' AS word FROM pg_trigger
             WHERE NOT tgisinternal OR tgparentid <> 0 AND tgconstraint = 0
             UNION ALL
            SELECT ev_class, 'rule state', rulename, ev_enabled, 'RULE' FROM pg_rewrite
             WHERE rulename <> '_RETURN') o
      JOIN r ON r.oid = o.owner AND r.relkind <> 'm' WHERE o.state <> 'O'
    """,
    """
    SELECT p.polrelid, 'policy', p.polname, format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s',
           p.polname, r.here,
           CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', '
                   ORDER BY role::regrole::text) FROM unnest(p.polroles) role))
           || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
           || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
      FROM pg_policy p JOIN r ON r.oid = p.polrelid
    """,
    """
    SELECT b.owner, 'comment', b.word || ' ' || b.name, format('COMMENT ON %%s %%s IS %%L',
           b.word, b.name, d.description)
      FROM belongings b JOIN pg_description d USING (classoid, objoid, objsubid)
    """,
    """
    SELECT b.owner, 'security label', l.provider || ' ' || b.word || ' ' || b.name,
           format('SECURITY LABEL FOR %%I ON %%s %%s IS %%L', l.provider, b.word, b.name, l.label)
      FROM belongings b JOIN pg_seclabel l USING (classoid, objoid, objsubid)
    """,
    """
    SELECT b.owner, 'extension', b.word || ' ' || b.name || ' ' || e.extname,
           format('ALTER %%s %%s DEPENDS ON EXTENSION %%I', b.word, b.name, e.extname)
      FROM belongings b JOIN pg_depend d ON d.classid = b.classoid AND d.objid = b.objoid
      JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x' AND b.objsubid = 0
    """,
    """
    SELECT r.oid, 'row security', state.word, format('ALTER TABLE ONLY %%s %%s ROW LEVEL SECURITY',
           r.here, state.word)
      FROM r, LATERAL (SELECT 'ENABLE' AS word WHERE r.relrowsecurity
                        UNION ALL SELECT 'FORCE' WHERE r.relforcerowsecurity) state
    """,
    """
    SELECT o.owner, 'owner', o.name, format('ALTER %%s %%s OWNER TO %%s', o.word, o.here,
           o.role::regrole)
      FROM (SELECT oid AS owner, 'itself' AS name, altered AS word, here, relowner AS role FROM r
             UNION ALL
            SELECT stxrelid, stxname, 'STATISTICS', %(schema)s || '.' || quote_ident(stxname),
                   stxowner FROM pg_statistic_ext WHERE stxrelid = ANY(%(oids)s)) o
    """,
    """
    SELECT g.owner, 'privileges', g.name,
           CASE WHEN g.columns IS NULL THEN format('REVOKE ALL ON %%s %%s FROM %%s; ', g.word,
                g.here, g.role::regrole) ELSE '' END
           || coalesce(string_agg(CASE WHEN g.grantor = g.role THEN 'GRANT ' || g.granted
                ELSE format('SET LOCAL ROLE %%s; GRANT %%s; SET LOCAL ROLE %%I',
                            g.grantor::regrole, g.granted, current_user) END, '; '
                ORDER BY g.place), '')
      FROM grants g GROUP BY g.owner, g.name, g.word, g.here, g.role, g.columns
    """,
)
