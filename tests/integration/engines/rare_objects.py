"""Objects that are rarer than those of `every_object`, or that stand beside the tables."""

RARE = """
CREATE TYPE measure AS (value numeric, unit text);
CREATE DOMAIN short AS text COLLATE "C" DEFAULT 'x' CHECK (length(VALUE) < 9);
CREATE COLLATION letters FROM "C";
CREATE UNLOGGED TABLE draft (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    down bigint NOT NULL, small smallserial, big bigserial, note short, measured measure,
    many measure[], spelt text COLLATE letters, marks bit varying(7)[], gone text,
    made timestamptz(3) NOT NULL DEFAULT now(), doc jsonb DEFAULT '{"a": [1]}', words tsvector,
    ip inet, plan_id bigint, plan_part smallint,
    CONSTRAINT alone CHECK (down < 5) NO INHERIT);
ALTER TABLE draft DROP gone;
CREATE UNLOGGED SEQUENCE going_down INCREMENT -2 MINVALUE -900 MAXVALUE -5 START -7 CYCLE;
ALTER TABLE draft ALTER down SET DEFAULT nextval('going_down');
ALTER SEQUENCE going_down OWNED BY draft.down;
ALTER SEQUENCE draft_small_seq SET LOGGED;
ALTER TABLE draft SET (parallel_workers = 3, toast_tuple_target = 256);
ALTER TABLE draft ALTER doc SET STORAGE MAIN, ALTER words SET STATISTICS 0;
CREATE INDEX draft_made ON draft
    USING brin (made timestamptz_minmax_multi_ops (values_per_range = 9))
    WITH (pages_per_range = 7, autosummarize = on);
CREATE INDEX draft_note ON draft USING hash (note);
CREATE INDEX draft_doc ON draft USING gin (doc jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX draft_words ON draft USING gist (words tsvector_ops (siglen = 100));
CREATE INDEX draft_ip ON draft USING spgist (ip);
CREATE INDEX draft_spelt ON draft (spelt COLLATE "C" DESC, (doc ->> 'a') NULLS FIRST);
CREATE TABLE plan (id bigint, part smallint, PRIMARY KEY (id, part));
CREATE ACCESS METHOD lines TYPE TABLE HANDLER heap_tableam_handler;
CREATE UNLOGGED TABLE outline (id bigint, part smallint, PRIMARY KEY (part, id)) USING lines;
ALTER TABLE draft ADD CONSTRAINT of_outline FOREIGN KEY (plan_id, plan_part)
    REFERENCES outline (id, part) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL (plan_part)
    DEFERRABLE;
ALTER TABLE draft REPLICA IDENTITY NOTHING;
CREATE TRIGGER draft_kept BEFORE TRUNCATE ON draft EXECUTE FUNCTION touch('one', '2');
CREATE RULE draft_told AS ON INSERT TO draft DO ALSO NOTIFY drafts;
ALTER TABLE draft ENABLE ALWAYS RULE draft_told;
CREATE STATISTICS draft_spread (mcv) ON note, (small + big) FROM draft;
COMMENT ON INDEX draft_ip IS 'of addresses'; COMMENT ON SEQUENCE going_down IS 'down';
COMMENT ON CONSTRAINT of_outline ON draft IS 'of two columns';
GRANT TRUNCATE, REFERENCES, TRIGGER ON draft TO inv_reader;
GRANT ALL ON SEQUENCE going_down TO inv_owner WITH GRANT OPTION;
GRANT UPDATE (note), REFERENCES (id) ON draft TO PUBLIC;

CREATE TABLE placed (id bigint PRIMARY KEY USING INDEX TABLESPACE inv_space,
    name text, CONSTRAINT placed_once UNIQUE (name) WITH (fillfactor = 77)) TABLESPACE inv_space;
CREATE INDEX placed_by_name ON placed (lower(name)) TABLESPACE inv_space;
CREATE TABLE placed_parts (id bigint PRIMARY KEY) PARTITION BY HASH (id) TABLESPACE inv_space;
CREATE TABLE placed_part PARTITION OF placed_parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);

CREATE VIEW changed WITH (check_option = cascaded) AS SELECT id, name, gen FROM planet
    WHERE gen >= 0;
CREATE VIEW summed (planet, moons) AS SELECT changed.id, count(moon.id) FROM changed
    LEFT JOIN moon ON moon.planet_id = changed.id GROUP BY changed.id;
ALTER VIEW changed ALTER COLUMN gen SET DEFAULT 8;
CREATE TRIGGER instead INSTEAD OF INSERT ON summed FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE changed_rule AS ON UPDATE TO changed DO ALSO NOTIFY changes;
CREATE RECURSIVE VIEW theirs.downward (id, depth) AS SELECT id, 0 FROM planet WHERE parent IS NULL
    UNION ALL SELECT p.id, depth + 1 FROM planet p JOIN downward ON p.parent = downward.id;
COMMENT ON COLUMN changed.gen IS 'a column of a view';
GRANT UPDATE (name) ON changed TO inv_reader;
ALTER VIEW summed OWNER TO inv_owner; GRANT SELECT ON changed, moon TO inv_owner;
CREATE PROCEDURE settle(INOUT n bigint) BEGIN ATOMIC SELECT count(*) FROM moon; END;
ALTER INDEX draft_note DEPENDS ON EXTENSION plpgsql;
ALTER TRIGGER draft_kept ON draft DEPENDS ON EXTENSION plpgsql;
ALTER PROCEDURE settle DEPENDS ON EXTENSION plpgsql;
ALTER MATERIALIZED VIEW stored DEPENDS ON EXTENSION plpgsql;
CREATE MATERIALIZED VIEW lined USING lines TABLESPACE inv_space AS SELECT id FROM planet;
CREATE MATERIALIZED VIEW over_shown AS SELECT name FROM shown;
CREATE INDEX ON over_shown (name); GRANT SELECT ON over_shown TO inv_reader;

CREATE PUBLICATION some_columns FOR TABLE planet (id, name, status), ONLY event
    WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE PUBLICATION some_rows FOR TABLE moon WHERE (gen > 3), event_rest;
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public;
COMMENT ON PUBLICATION some_rows IS 'a publication';
CREATE FOREIGN DATA WRAPPER beyond; CREATE SERVER far FOREIGN DATA WRAPPER beyond;
CREATE FOREIGN TABLE theirs.far (id bigint) SERVER far OPTIONS (a 'b');
CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NOTIFY ddl; END';
CREATE EVENT TRIGGER told ON ddl_command_end EXECUTE FUNCTION tell();
COMMENT ON EVENT TRIGGER told IS 'an event trigger';
"""

SINCE_15 = {
    "NULLS NOT DISTINCT ": "",
    "UNLOGGED SEQUENCE": "SEQUENCE",
    "ALTER SEQUENCE draft_small_seq SET LOGGED;": "",
    "SET NULL (plan_part)": "SET NULL",
    "planet (id, name, status), ONLY": "planet, ONLY",
    "moon WHERE (gen > 3), ": "moon, ",
    "CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public;": "",
}
"""What earlier versions have not, and what they are given for it."""

SINCE_18 = """
ALTER TABLE planet ADD CONSTRAINT unenforced CHECK (gen <> 13) NOT ENFORCED,
    ADD CONSTRAINT placed_somewhere NOT NULL place NOT VALID,
    ADD thrice integer GENERATED ALWAYS AS (gen * 3) VIRTUAL,
    ADD CONSTRAINT of_nothing FOREIGN KEY (parent) REFERENCES planet (id) NOT ENFORCED;
CREATE TABLE lease (house int4range CONSTRAINT housed NOT NULL NO INHERIT, days int4range,
    CONSTRAINT let UNIQUE (house, days WITHOUT OVERLAPS));
ALTER TABLE lease ADD CONSTRAINT within FOREIGN KEY (house, PERIOD days)
    REFERENCES lease (house, PERIOD days);
COMMENT ON CONSTRAINT housed ON lease IS 'a constraint of its own';
"""
