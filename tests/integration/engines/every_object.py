"""Every kind of object that hangs on PostgreSQL tables and is carried over by a restore."""

ROLES = ("inv_reader", "inv_owner")

MADE = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN above AS integer CHECK (VALUE > 0);
CREATE SCHEMA theirs;

ALTER TABLE planet
    ADD status varchar(10) NOT NULL DEFAULT 'new', ADD mood mood DEFAULT 'glad', ADD height above,
    ADD label text COLLATE "C", ADD big text,
    ADD twice integer GENERATED ALWAYS AS (gen * 2) STORED,
    ADD number integer GENERATED ALWAYS AS IDENTITY
        (SEQUENCE NAME odd_name INCREMENT 5 START 15 MINVALUE 10 MAXVALUE 30000 CACHE 3 CYCLE),
    ADD place point, ADD span int4range;
CREATE SEQUENCE counted AS smallint START 7 MINVALUE 3 MAXVALUE 999 CACHE 2;
ALTER TABLE planet ADD counter smallint NOT NULL DEFAULT nextval('counted');
ALTER SEQUENCE counted OWNED BY planet.counter;
CREATE SEQUENCE loose;
ALTER TABLE probe ADD drawn bigint DEFAULT nextval('loose');
ALTER TABLE planet ADD also smallint DEFAULT nextval('counted') + 1;

ALTER TABLE planet ADD CONSTRAINT known CHECK (status IN ('new', 'old')),
    ADD CONSTRAINT unproven CHECK (gen < 1000000) NOT VALID,
    ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&) WITH (fillfactor = 80)
        WHERE (status <> 'old') DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT unlike UNIQUE (label) INCLUDE (gen) WITH (fillfactor = 60) DEFERRABLE,
    ADD CONSTRAINT nothing_twice UNIQUE NULLS NOT DISTINCT (mood, id),
    ADD parent bigint, ADD CONSTRAINT of_itself FOREIGN KEY (parent) REFERENCES planet (id)
        ON DELETE SET NULL NOT VALID;
CREATE INDEX by_status ON planet (id) WHERE status IN ('new', 'old');
CREATE INDEX folded ON planet (fold(label) text_pattern_ops DESC NULLS LAST) INCLUDE (gen);
CREATE UNIQUE INDEX for_replicas ON planet (status, id) WITH (fillfactor = 55);
ALTER INDEX folded ALTER COLUMN 1 SET STATISTICS 77;
CLUSTER planet USING for_replicas;
CLUSTER moon USING moon_by_planet;
ALTER TABLE planet REPLICA IDENTITY USING INDEX for_replicas;
ALTER TABLE moon REPLICA IDENTITY FULL;
ALTER TABLE planet ALTER name SET STATISTICS 400, ALTER gen SET (n_distinct = -0.5),
    ALTER big SET STORAGE EXTERNAL, ALTER big SET COMPRESSION pglz;
ALTER TABLE planet SET (fillfactor = 70, autovacuum_enabled = false,
    toast.autovacuum_enabled = false);
CREATE STATISTICS spread (ndistinct, dependencies) ON name, gen, (gen % 7) FROM planet;
ALTER STATISTICS spread SET STATISTICS 50;

CREATE TRIGGER touched BEFORE UPDATE OF status ON planet
    FOR EACH ROW WHEN (NEW.status IN ('new', 'old')) EXECUTE FUNCTION touch();
CREATE TRIGGER never AFTER INSERT ON planet FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER always AFTER INSERT ON planet
    REFERENCING NEW TABLE AS those FOR EACH STATEMENT EXECUTE FUNCTION touch();
CREATE TRIGGER elsewhere AFTER DELETE ON moon FOR EACH ROW EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON moon DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE planet DISABLE TRIGGER never, ENABLE ALWAYS TRIGGER always;
ALTER TABLE moon ENABLE REPLICA TRIGGER elsewhere;
CREATE RULE quiet AS ON DELETE TO planet WHERE OLD.gen IN (77, 78)
    DO INSTEAD UPDATE moon SET gen = 0 WHERE planet_id = OLD.id;
CREATE RULE off AS ON UPDATE TO moon DO ALSO NOTHING;
ALTER TABLE moon DISABLE RULE off;

ALTER TABLE planet ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE moon ENABLE ROW LEVEL SECURITY;
CREATE POLICY shown ON planet FOR SELECT TO inv_reader, inv_owner USING (status IN ('new', 'old'));
CREATE POLICY less ON planet AS RESTRICTIVE FOR INSERT WITH CHECK (gen > 0);
CREATE POLICY near ON moon USING (planet_id IN (SELECT id FROM planet WHERE gen > 0));

COMMENT ON TABLE planet IS 'a planet''s table';
COMMENT ON COLUMN planet.gen IS 'a generation; 100 %';
COMMENT ON INDEX folded IS 'an index';
COMMENT ON INDEX planet_pkey IS 'the index of a key';
COMMENT ON CONSTRAINT planet_pkey ON planet IS 'a key';
COMMENT ON CONSTRAINT known ON planet IS 'a check';
COMMENT ON CONSTRAINT moon_of_planet ON moon IS 'a foreign key';
COMMENT ON CONSTRAINT probe_of_moon ON probe IS 'one from outside';
COMMENT ON TRIGGER touched ON planet IS 'a trigger';
COMMENT ON RULE quiet ON planet IS 'a rule';
COMMENT ON POLICY shown ON planet IS 'a policy';
COMMENT ON STATISTICS spread IS 'statistics';
COMMENT ON SEQUENCE odd_name IS 'a sequence';

CREATE TABLE theirs.visit (planet bigint CONSTRAINT visited REFERENCES planet ON DELETE CASCADE);
COMMENT ON CONSTRAINT visited ON theirs.visit IS 'one of another schema';
CREATE TABLE theirs.star (id bigint PRIMARY KEY);
ALTER TABLE planet ADD star bigint, ADD CONSTRAINT of_star FOREIGN KEY (star)
    REFERENCES theirs.star ON DELETE RESTRICT;
CREATE FUNCTION planets() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM planet; END;
COMMENT ON FUNCTION planets() IS 'a function';
GRANT EXECUTE ON FUNCTION planets() TO inv_reader;

CREATE VIEW shown WITH (security_barrier) AS SELECT id, name FROM planet WHERE gen > 0;
CREATE VIEW theirs.shown AS SELECT * FROM moon;
CREATE MATERIALIZED VIEW stored WITH (fillfactor = 90) AS SELECT id, name, fold(name) f FROM planet;
CREATE UNIQUE INDEX stored_key ON stored (id);
CREATE INDEX stored_odd ON stored (f) WHERE name IN ('a', 'b');
CLUSTER stored USING stored_key;
ALTER MATERIALIZED VIEW stored ALTER name SET STATISTICS 33;
CREATE MATERIALIZED VIEW unfilled AS SELECT id FROM stored WITH NO DATA;
COMMENT ON MATERIALIZED VIEW stored IS 'stored'; COMMENT ON COLUMN stored.id IS 'its id';
COMMENT ON INDEX stored_key IS 'its index'; COMMENT ON VIEW shown IS 'shown';
CREATE STATISTICS stored_spread ON id, name FROM stored;

GRANT SELECT ON planet TO inv_owner;
GRANT SELECT, UPDATE ON planet TO inv_reader WITH GRANT OPTION;
GRANT SELECT (gen), INSERT (gen, planet_id) ON moon TO inv_reader;
GRANT USAGE ON SEQUENCE odd_name TO inv_reader; GRANT SELECT ON SEQUENCE counted TO PUBLIC;
GRANT SELECT ON stored TO inv_reader; GRANT SELECT (id) ON stored TO PUBLIC;
GRANT SELECT ON shown TO inv_reader;
SET ROLE inv_reader; GRANT SELECT ON planet TO inv_owner; RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA public TO inv_owner;
ALTER TABLE moon OWNER TO inv_owner; ALTER MATERIALIZED VIEW stored OWNER TO inv_owner;
REVOKE UPDATE ON moon FROM inv_owner;
ALTER STATISTICS spread OWNER TO inv_owner;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO inv_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO inv_reader;
"""
