-- A schema as nobody should write one, and as some do: names that need quotes, words of the language, constraints on what is masked.
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA "Odd Shop";
CREATE SCHEMA "select";

CREATE TYPE "Odd Shop"."State Of Mind" AS ENUM ('calm', 'in "quotes"', 'it''s', 'ünï');
CREATE DOMAIN "Odd Shop".postcode AS text CHECK (VALUE ~ '^[A-Z]{2}-\d{5}$');
CREATE DOMAIN "Odd Shop"."E-Mail" AS citext NOT NULL CHECK (VALUE ~ '^[^@\s]+@[^@\s]+\.[a-z]{2,}$');

CREATE TABLE "Odd Shop"."Kunde" (
  "Kunden Nr" bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 7) PRIMARY KEY,
  "E-Mail" "Odd Shop"."E-Mail",
  "Vor- und Nachname" text NOT NULL CHECK ("Vor- und Nachname" ~ '^\S+( \S+)*$'),
  "order" text,
  "user" varchar(20) CHECK (length("user") BETWEEN 2 AND 20),
  postcode "Odd Shop".postcode,
  "größe" numeric(5,2),
  "state" "Odd Shop"."State Of Mind" DEFAULT 'it''s',
  mail_host text GENERATED ALWAYS AS (split_part(lower("E-Mail"::text), '@', 2)) STORED,
  search text GENERATED ALWAYS AS (lower("Vor- und Nachname")) STORED,
  geworben_von bigint REFERENCES "Odd Shop"."Kunde" DEFERRABLE INITIALLY DEFERRED,
  "a""b" text
);
CREATE UNIQUE INDEX "kunde mail" ON "Odd Shop"."Kunde" (lower("E-Mail"::text));
CREATE UNIQUE INDEX one_login_each ON "Odd Shop"."Kunde" ("user") WHERE "state" <> 'calm';
CREATE INDEX ON "Odd Shop"."Kunde" ("Vor- und Nachname" text_pattern_ops);

-- Two tables that need each other.
CREATE TABLE "select"."table" (
  "from" text NOT NULL, "where" int NOT NULL, "group" text, "limit" text,
  PRIMARY KEY ("from", "where")
);
CREATE TABLE "select"."user" (
  id int PRIMARY KEY, "from" text, "where" int, login text UNIQUE,
  FOREIGN KEY ("from", "where") REFERENCES "select"."table" MATCH FULL ON UPDATE CASCADE DEFERRABLE
);
ALTER TABLE "select"."table" ADD FOREIGN KEY ("limit") REFERENCES "select"."user" (login) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE "Odd Shop".nothing ();
CREATE UNLOGGED TABLE "Odd Shop".flüchtig (id int, note text);
CREATE TABLE "Odd Shop".booking (
  room text NOT NULL, during tstzrange NOT NULL, guest text NOT NULL,
  EXCLUDE USING gist (room WITH =, during WITH &&)
);
CREATE TABLE "Odd Shop".ledger (id int, who text, amount numeric, at date) PARTITION BY LIST (who);
CREATE TABLE "Odd Shop".ledger_rest PARTITION OF "Odd Shop".ledger DEFAULT;
CREATE TABLE "Odd Shop".tenant_note (tenant text NOT NULL, body text NOT NULL);
ALTER TABLE "Odd Shop".tenant_note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON "Odd Shop".tenant_note USING (tenant = current_setting('app.tenant', true));

CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'nowhere');
CREATE FOREIGN TABLE "Odd Shop".far (id int, email text) SERVER elsewhere OPTIONS (table_name 'far');

CREATE VIEW "Odd Shop"."Alle Kunden" AS
  SELECT "Kunden Nr" AS nr, "E-Mail" AS mail, "Vor- und Nachname" AS "full name", upper("user") AS login FROM "Odd Shop"."Kunde";
CREATE VIEW "Odd Shop".short AS SELECT nr, mail, left("full name", 3) AS start FROM "Odd Shop"."Alle Kunden" WHERE nr > 1000;
CREATE MATERIALIZED VIEW "Odd Shop".hosts AS
  SELECT mail_host, count(*) AS how_many, min("Vor- und Nachname") AS first FROM "Odd Shop"."Kunde" GROUP BY 1;
CREATE MATERIALIZED VIEW "Odd Shop".names AS SELECT "Kunden Nr" AS nr, "Vor- und Nachname" AS name FROM "Odd Shop"."Kunde";
CREATE UNIQUE INDEX ON "Odd Shop".names (nr);

CREATE TABLE "Odd Shop".parent (id int PRIMARY KEY, name text);
CREATE TABLE "Odd Shop".child (extra text) INHERITS ("Odd Shop".parent);
CREATE FUNCTION "Odd Shop"."Find It"("Who" text) RETURNS TABLE (nr bigint) LANGUAGE sql STABLE
  AS $$ SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE "Vor- und Nachname" = "Who" $$;
