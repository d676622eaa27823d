/**
 * What tokens cannot stand for is told from the statement. Each statement is run on values and on tokens: where the two answers differ, a
 * caution says so, and of nothing that stays the same column for column. The same statements on columns that a policy keeps carry none.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import type { MaskingCaution } from '../../segment/masking.js'
import type { Row } from '../../segment/outcome.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { KEY } from './support.js'
import { type Answers, Twins } from './twins.js'

const SCHEMA = `
CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE EXTENSION IF NOT EXISTS fuzzystrmatch; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE TABLE people (id int PRIMARY KEY, email text, name text, nick varchar(12), bio text, born date, ssn bigint, ip inet, token uuid, tags text[], data jsonb, photo bytea, label text, seen timestamptz, initials text, search tsvector);
CREATE TABLE notes (id int PRIMARY KEY, who text, title text, label text);
CREATE VIEW people_a AS SELECT id, name FROM people WHERE name LIKE 'A%';
CREATE VIEW first_two AS SELECT id, name FROM people ORDER BY name LIMIT 2;
CREATE VIEW sizes AS SELECT id, length(name) AS size, upper(name) AS big, name || '!' AS loud FROM people;
CREATE VIEW sizes2 AS SELECT id, size + 1 AS size FROM sizes;
CREATE VIEW plain AS SELECT id, name AS full_name, email AS mail, label FROM people;
CREATE MATERIALIZED VIEW mat AS SELECT id, name, length(email) AS n FROM people WITH NO DATA;
CREATE FUNCTION find(q text) RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM people WHERE name LIKE q || '%' ORDER BY id $$;
CREATE FUNCTION by_mail(q text) RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM people WHERE email = q $$;
CREATE FUNCTION ini(q text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT left(q, 1) $$;
CREATE FUNCTION lbl(i int) RETURNS text LANGUAGE plpgsql AS $$ DECLARE n text; BEGIN SELECT name INTO n FROM people WHERE id = i; RETURN substring(n, 1, 2); END $$;
CREATE FUNCTION nothing(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i + 1; END $$;
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.initials := left(NEW.name, 2); NEW.search := to_tsvector(NEW.bio); INSERT INTO notes VALUES (NEW.id + 1000, NEW.email, NEW.name || ' came', 'x') ON CONFLICT DO NOTHING; RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION trg();
`

const DATA = `
INSERT INTO people (id, email, name, nick, bio, born, ssn, ip, token, tags, data, photo, label, seen) VALUES
(1,'alice@corp.example','Alice Obrien','ali','She likes dogs','1980-02-29',123456789,'10.1.2.3','0195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b','{red,blue}','{"mail":"alice@corp.example","town":"Ulm","n":3}','\\\\xdeadbeef','gold','2024-05-01 10:00+00'),
(2,'bob@corp.example','Bob','bob','Cats and a dog','1990-12-31',987654321,'192.168.0.7','1195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b','{green}','{"mail":"bob@corp.example","town":"Bonn"}','\\\\x00','silver','2024-06-01 10:00+00'),
(3,'Carol@home.example','Carol Zimmer','caz','nothing','2001-07-07',5,'10.1.9.9','2195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b','{red,aqua}','{"town":"Aachen"}',NULL,'gold','2024-07-01 10:00+00'),
(4,'dan@corp.example','alice obrien','dan','Alice again','1955-01-01',77,'172.16.0.1','3195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b','{}','{}','\\\\x0102','bronze','2023-07-01 10:00+00');
INSERT INTO notes VALUES (1,'alice@corp.example','Alice Obrien','gold'),(2,'Bob','Hello there','silver'),(3,'gold','bob@corp.example','x');
REFRESH MATERIALIZED VIEW mat;
`

const POLICY = `version: 1
columns:
  public.people.email: email
  public.people.name: full_name
  public.people.nick: text
  public.people.born: date_shift
  public.people.ssn: digits
  public.people.token: uuid
  public.people.label: keep
  public.people.initials: keep
  public.notes.label: keep
`

/** A heading, or a statement and what is said of it: the column, how it is used, what that can change. */
const STATEMENTS: readonly (readonly [string, ...string[]])[] = [
  ['patterns, similarity and text search'],
  [`SELECT id FROM people WHERE name LIKE 'A%'`, 'people.name pattern rows'],
  [`SELECT id FROM people WHERE name NOT LIKE 'A%'`, 'people.name pattern rows'],
  [`SELECT id FROM people WHERE name SIMILAR TO '(A|B)%'`, 'people.name pattern rows', 'people.name derive rows'],
  [`SELECT id FROM people WHERE starts_with(name, 'A')`, 'people.name pattern rows', 'people.name derive rows'],
  [`SELECT id FROM people WHERE name ^@ 'A'`, 'people.name derive rows'],
  [`SELECT id FROM people WHERE position('ob' in name) > 0`, 'people.name derive rows'],
  [`SELECT id FROM people WHERE strpos(name, 'ob') > 0`, 'people.name derive rows'],
  [`SELECT id FROM people WHERE name LIKE ANY (ARRAY['A%','B%'])`, 'people.name pattern rows'],
  [`SELECT id FROM people WHERE name % 'alise obrian'`, 'people.name derive rows'],
  [`SELECT id FROM people ORDER BY name <-> 'alise', id LIMIT 2`, 'people.name derive rows', 'people.name order rows'],
  [`SELECT id, similarity(name, 'Alice') FROM people ORDER BY id`, 'people.name derive result1'],
  [
    `SELECT id FROM people WHERE to_tsvector('english', bio) @@ to_tsquery('english','dog')`,
    'people.bio derive rows',
    'people.bio pattern rows',
  ],
  [
    `SELECT id, ts_rank(to_tsvector('english', bio), to_tsquery('english','dog')) FROM people ORDER BY 2 DESC, 1`,
    'people.bio derive result1',
    'people.bio order order',
  ],
  [
    `SELECT ts_headline('english', bio, to_tsquery('english','dog')) FROM people ORDER BY id`,
    'people.bio derive result0',
  ],
  [`SELECT regexp_replace(name, '[aeiou]', '', 'g') FROM people ORDER BY id`, 'people.name derive result0'],
  [`SELECT id FROM people, regexp_matches(name, 'l(i)c') m`, 'people.name derive rows'],
  [
    `SELECT id, w FROM people, regexp_split_to_table(name, ' ') w ORDER BY id`,
    'people.name derive rows',
    'people.name derive result1',
  ],
  [`SELECT id FROM people WHERE (regexp_match(name, '^A'))[1] IS NOT NULL`, 'people.name derive rows'],
  [`SELECT id FROM people WHERE regexp_like(name, '^A')`, 'people.name derive rows'],
  [`SELECT string_to_array(name, ' ') FROM people ORDER BY id`, 'people.name derive result0'],
  ['order: ranges, ORDER BY, windows, DISTINCT ON, ordered aggregates, keyset pages'],
  [`SELECT id FROM people WHERE name COLLATE "C" > 'B'`, 'people.name order rows'],
  ['SELECT id FROM people ORDER BY name COLLATE "C"', 'people.name order order'],
  ['SELECT id FROM people ORDER BY lower(name)', 'people.name order order'],
  ['SELECT id FROM people ORDER BY length(name), id', 'people.name derive order', 'people.name order order'],
  ['SELECT name AS n, id FROM people ORDER BY n', 'people.name order order'],
  ['SELECT id, name FROM people ORDER BY 2', 'people.name order order'],
  [`SELECT greatest(name, 'M') FROM people ORDER BY id`, 'people.name order result0'],
  ['SELECT row_number() OVER (ORDER BY name), id FROM people ORDER BY id', 'people.name order result0'],
  ['SELECT id, lag(id) OVER (ORDER BY name) FROM people ORDER BY id', 'people.name order result1'],
  ['SELECT id, ntile(2) OVER w FROM people WINDOW w AS (ORDER BY name) ORDER BY id', 'people.name order rows'],
  [
    'SELECT id, first_value(id) OVER (PARTITION BY label ORDER BY name) FROM people ORDER BY id',
    'people.name order result1',
  ],
  ['SELECT DISTINCT ON (label) label, id FROM people ORDER BY label, name', 'people.name order rows'],
  ['SELECT DISTINCT ON (name) name, id FROM people ORDER BY name, id', 'people.name order rows'],
  [`SELECT string_agg(label, ',' ORDER BY name) FROM people`, 'people.name order result0'],
  [`SELECT string_agg(name, ',' ORDER BY id) FROM people`, 'people.name derive result0'],
  ['SELECT array_agg(id ORDER BY name) FROM people', 'people.name order result0'],
  ['SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM people', 'people.name order result0'],
  ['SELECT mode() WITHIN GROUP (ORDER BY name) FROM people', 'people.name order result0'],
  [`SELECT id FROM people WHERE (name, id) > ('B', 1) ORDER BY name, id LIMIT 2`, 'people.name order rows'],
  [`SELECT id FROM people WHERE email > 'b' ORDER BY email LIMIT 2`, 'people.email order rows'],
  ['SELECT id FROM people ORDER BY name LIMIT 2', 'people.name order rows'],
  ['groups'],
  [
    'SELECT length(name), count(*) FROM people GROUP BY length(name) ORDER BY 1',
    'people.name derive rows',
    'people.name order order',
    'people.name derive result0',
  ],
  [
    'SELECT left(name, 1), count(*) FROM people GROUP BY 1 ORDER BY 1',
    'people.name derive rows',
    'people.name order order',
    'people.name derive result0',
  ],
  ['SELECT count(*) FROM people GROUP BY left(name, 1) ORDER BY 1', 'people.name derive rows'],
  [`SELECT label FROM people GROUP BY label HAVING max(name) > 'B' ORDER BY 1`, 'people.name order rows'],
  ['SELECT count(DISTINCT length(name)) FROM people', 'people.name derive result0'],
  ['SELECT count(DISTINCT lower(name)) FROM people', 'people.name fold result0'],
  [
    'SELECT lower(name), count(*) FROM people GROUP BY 1 ORDER BY 2',
    'people.name fold rows',
    'people.name fold result0',
  ],
  ['what is computed: lengths, parts, hashes, concatenations, casts'],
  [
    'SELECT char_length(name), octet_length(name), bit_length(name) FROM people ORDER BY id',
    'people.name derive result0',
    'people.name derive result1',
    'people.name derive result2',
  ],
  [`SELECT overlay(name placing 'xx' from 1 for 2) FROM people ORDER BY id`, 'people.name derive result0'],
  [
    `SELECT replace(name, 'a', 'b'), translate(name, 'a', 'b'), reverse(name), initcap(name), upper(name) FROM people ORDER BY id`,
    'people.name derive result0',
    'people.name derive result1',
    'people.name derive result2',
    'replace unseen result0',
    'translate unseen result1',
    'people.name fold result3',
    'people.name fold result4',
  ],
  ['SELECT md5(email) FROM people ORDER BY id', 'people.email derive result0'],
  [`SELECT encode(sha256(convert_to(email, 'UTF8')), 'hex') FROM people ORDER BY id`, 'people.email derive result0'],
  [`SELECT encode(digest(email, 'sha256'), 'hex') FROM people ORDER BY id`, 'people.email derive result0'],
  ['SELECT hashtext(email) FROM people ORDER BY id', 'people.email derive result0'],
  [`SELECT id FROM people WHERE md5(email) = 'c1f5b8a1'`, 'people.email derive rows'],
  [`SELECT id FROM people WHERE md5(email) = md5('alice@corp.example')`, 'people.email derive rows'],
  ['SELECT id FROM people WHERE hashtext(email) % 2 = 0', 'people.email derive rows'],
  ['SELECT id FROM people WHERE mod(abs(hashtext(email)), 2) = 0', 'people.email derive rows'],
  [
    `SELECT format('%s <%s>', name, email), concat(name, ' ', email), concat_ws(', ', name, email), name || email FROM people ORDER BY id`,
    'people.name derive result0',
    'people.email derive result0',
    'people.name derive result1',
    'people.email derive result1',
    'people.name derive result2',
    'people.email derive result2',
    'people.name derive result3',
    'people.email derive result3',
  ],
  [
    `SELECT id FROM people WHERE name || ' ' || email = 'Bob bob@corp.example'`,
    'people.name derive rows',
    'people.email derive rows',
    'people.name and people.email kinds rows',
  ],
  [
    `SELECT id FROM people WHERE concat(name, '-', nick) = 'Bob-bob'`,
    'people.name derive rows',
    'people.nick derive rows',
    'people.name and people.nick kinds rows',
  ],
  ['SELECT name::bytea FROM people ORDER BY id', 'people.name derive result0'],
  [
    'SELECT name::varchar(3), name::char(3), cast(email as varchar(5)) FROM people ORDER BY id',
    'people.name derive result0',
    'people.name derive result1',
    'people.email derive result2',
  ],
  [
    'SELECT name::varchar(200), email::text, ssn::text, born::text, token::text, ip::text, tags::text, data::text FROM people ORDER BY id',
  ],
  [`SELECT id FROM people WHERE name::varchar(3) = 'Bob'`, 'people.name derive rows'],
  [`SELECT id FROM people WHERE ssn::text LIKE '12%'`, 'people.ssn pattern rows'],
  [`SELECT id FROM people WHERE ssn::text = '5'`],
  ['SELECT email::citext, name::citext FROM people ORDER BY id', 'people.name fold result1'],
  [`SELECT id FROM people WHERE email::citext = 'ALICE@corp.example'`],
  [`SELECT id FROM people WHERE name::citext = 'ALICE OBRIEN'`, 'people.name fold rows'],
  [
    `SELECT quote_literal(name), lpad(name, 20, '*'), repeat(name, 2), ascii(name) FROM people ORDER BY id`,
    'people.name derive result0',
    'people.name derive result1',
    'people.name derive result2',
    'people.name derive result3',
  ],
  [
    `SELECT soundex(name), levenshtein(name, 'Bob'), unaccent(name) FROM people ORDER BY id`,
    'people.name derive result0',
    'people.name derive result1',
    'people.name derive result2',
    'soundex unseen result0',
  ],
  [`SELECT id FROM people WHERE levenshtein(name, 'Bob') < 2`, 'people.name derive rows'],
  ['values inside of JSON, XML and arrays that a statement builds'],
  [`SELECT array_to_string(array_agg(name ORDER BY id), ',') FROM people`, 'people.name derive result0'],
  [`SELECT array_position(array_agg(name ORDER BY id), 'Bob') FROM people`, 'people.name derive result0'],
  ['SELECT to_json(name), to_jsonb(email) FROM people ORDER BY id'],
  ['SELECT jsonb_object_agg(name, id) FROM people', 'people.name derive result0'],
  ['SELECT jsonb_object_agg(id, name) FROM people', 'people.name derive result0'],
  ['SELECT json_object_agg(label, name) FROM people WHERE id < 3', 'people.name derive result0'],
  ['SELECT xmlelement(name who, name) FROM people ORDER BY id', 'people.name derive result0'],
  ['times that are shifted'],
  [`SELECT born > '1985-01-01' FROM people ORDER BY id`],
  [`SELECT id FROM people WHERE born > '1985-01-01' ORDER BY born`],
  [
    `SELECT id FROM people WHERE born < '2024-01-01'::date - interval '40 years' ORDER BY id`,
    'people.born derive rows',
  ],
  [
    `SELECT id FROM people WHERE age('2024-01-01'::timestamp, born) > interval '40 years' ORDER BY id`,
    'people.born derive rows',
  ],
  [
    `SELECT extract(year FROM born), date_trunc('month', born), to_char(born, 'MM-DD') FROM people ORDER BY id`,
    'people.born derive result0',
    'people.born derive result1',
    'people.born derive result2',
  ],
  [
    `SELECT born + 1, born - 1, born - '1970-01-01'::date FROM people ORDER BY id`,
    'people.born derive result0',
    'people.born derive result1',
    'people.born derive result2',
  ],
  ['SELECT max(born) - min(born) FROM people', 'people.born derive result0'],
  [`SELECT id FROM people WHERE born = '1990-12-31'`],
  ['SELECT id FROM people WHERE extract(month FROM born) = 2', 'people.born derive rows'],
  ['SELECT id FROM people WHERE born < seen ORDER BY id', 'people.born and people.seen kinds rows'],
  [`SELECT id FROM people WHERE born BETWEEN '1980-01-01' AND '1991-01-01' ORDER BY id`],
  [`SELECT date_part('year', age(seen, born)) FROM people ORDER BY id`, 'people.born derive result0'],
  ['numbers, networks, UUIDs and bytes'],
  [
    'SELECT ssn + 1, ssn % 10, ssn / 2, -ssn FROM people ORDER BY id',
    'people.ssn derive result0',
    'people.ssn derive result1',
    'people.ssn derive result2',
    'people.ssn derive result3',
  ],
  [
    'SELECT sum(ssn), avg(ssn), max(ssn) FROM people',
    'people.ssn derive result0',
    'people.ssn derive result1',
    'people.ssn order result2',
  ],
  ['SELECT id FROM people WHERE ssn > 100 ORDER BY id', 'people.ssn order rows'],
  ['SELECT id FROM people ORDER BY ssn', 'people.ssn order order'],
  ['SELECT id FROM people WHERE ssn BETWEEN 1 AND 100 ORDER BY id', 'people.ssn order rows'],
  ['SELECT id FROM people WHERE ssn % 2 = 1 ORDER BY id', 'people.ssn derive rows'],
  [`SELECT to_char(ssn, '000000000') FROM people ORDER BY id`, 'people.ssn derive result0'],
  [`SELECT id FROM people WHERE ip << '10.0.0.0/8' ORDER BY id`, 'people.ip order rows'],
  [
    'SELECT host(ip), masklen(ip), family(ip), network(ip) FROM people ORDER BY id',
    'people.ip derive result0',
    'people.ip derive result3',
  ],
  [`SELECT id FROM people WHERE ip > '100.0.0.0' ORDER BY id`, 'people.ip order rows'],
  ['SELECT id FROM people ORDER BY ip', 'people.ip order order'],
  ['SELECT id FROM people ORDER BY token DESC', 'people.token order order'],
  [`SELECT id FROM people WHERE token > '1295f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b' ORDER BY id`, 'people.token order rows'],
  [`SELECT id FROM people WHERE token::text LIKE '01%'`, 'people.token pattern rows'],
  [
    `SELECT length(photo), substring(photo, 1, 1), get_byte(photo, 0), md5(photo), encode(photo, 'hex') FROM people WHERE id IN (1,2,4) ORDER BY id`,
    'people.photo derive result0',
    'people.photo derive result1',
    'people.photo derive result2',
    'people.photo derive result3',
    'people.photo derive result4',
  ],
  [`SELECT id FROM people WHERE photo > '\\x01' ORDER BY id`, 'people.photo order rows'],
  ['inside of documents and arrays'],
  [
    `SELECT id FROM people WHERE data->>'town' LIKE 'A%'`,
    'people.data.town json_text rows',
    'people.data.town pattern rows',
  ],
  [
    `SELECT id FROM people WHERE data->>'town' > 'B' ORDER BY id`,
    'people.data.town json_text rows',
    'people.data.town order rows',
  ],
  [`SELECT id FROM people ORDER BY data->>'town'`, 'people.data.town json_text order', 'people.data.town order order'],
  [
    `SELECT data->>'town', data->'town', data#>>'{town}' FROM people ORDER BY id`,
    'people.data.town json_text result0',
    'people.data.town json_text result2',
  ],
  [
    `SELECT length(data->>'town') FROM people ORDER BY id`,
    'people.data.town json_text result0',
    'people.data.town derive result0',
    'people.data derive result0',
  ],
  ['SELECT jsonb_pretty(data) FROM people ORDER BY id', 'people.data derive result0'],
  ['SELECT key, value FROM people, jsonb_each_text(data) WHERE id < 3 ORDER BY id, key', 'people.data derive rows'],
  ['SELECT key, value FROM people, jsonb_each(data) WHERE id < 3 ORDER BY id, key', 'people.data derive rows'],
  [`SELECT jsonb_path_query(data, '$.town') FROM people ORDER BY id`, 'people.data derive result0'],
  [
    `SELECT jsonb_typeof(data->'town'), jsonb_object_keys(data) FROM people ORDER BY id, 2`,
    'people.data derive result1',
    'people.data order order',
  ],
  [`SELECT id FROM people WHERE (data->>'n')::int > 2`, 'people.data.n json_text rows', 'people.data.n order rows'],
  ['SELECT md5(data::text) FROM people ORDER BY id', 'people.data derive result0'],
  [`SELECT id FROM people WHERE tags < '{redder}' ORDER BY id`, 'people.tags order rows'],
  [
    `SELECT array_to_string(tags, ', '), array_length(tags, 1), cardinality(tags) FROM people ORDER BY id`,
    'people.tags derive result0',
  ],
  ['SELECT id FROM people ORDER BY tags, id', 'people.tags order order'],
  ['SELECT t, count(*) FROM people, unnest(tags) t GROUP BY t ORDER BY t', 'people.tags order order'],
  [`SELECT id FROM people WHERE 'red' = ANY(tags) ORDER BY id`],
  [`SELECT id FROM people WHERE 'r%' ~~ ANY(tags) ORDER BY id`, 'people.tags pattern rows'],
  ['views, materialized ones and views on views'],
  ['SELECT * FROM people_a ORDER BY id', 'people.name pattern rows'],
  ['SELECT count(*) FROM people_a', 'people.name pattern rows'],
  ['SELECT * FROM first_two ORDER BY id', 'people.name order rows'],
  [
    'SELECT * FROM sizes ORDER BY id',
    'people.name derive result1',
    'people.name fold result2',
    'people.name derive result3',
  ],
  ['SELECT * FROM sizes2 ORDER BY id', 'people.name derive result1'],
  ['SELECT id FROM sizes WHERE size > 5 ORDER BY id', 'people.name derive rows'],
  ['SELECT id FROM sizes WHERE size = 3 ORDER BY id', 'people.name derive rows'],
  [`SELECT * FROM plain WHERE full_name = 'Bob'`],
  [`SELECT id FROM plain WHERE full_name LIKE 'B%'`, 'people.name pattern rows'],
  ['SELECT id FROM plain ORDER BY full_name', 'people.name order order'],
  ['SELECT id, name FROM mat ORDER BY id'],
  ['SELECT id, n FROM mat ORDER BY id', 'people.email derive result1'],
  ['SELECT id FROM mat WHERE n > 16 ORDER BY id', 'people.email derive rows'],
  ["functions of the user's"],
  [`SELECT * FROM find('Al')`, 'people.name pattern rows', 'people.name derive rows'],
  [`SELECT find('Al')`, 'people.name pattern rows', 'people.name derive rows', 'a literal in find derive result0'],
  [`SELECT id FROM people WHERE id IN (SELECT find('Al'))`, 'people.name pattern rows', 'people.name derive rows'],
  [`SELECT * FROM by_mail('alice@corp.example')`, 'people.email derive rows'],
  ['SELECT ini(name) FROM people ORDER BY id', 'people.name derive result0', 'ini unseen result0'],
  [`SELECT id FROM people WHERE ini(name) = 'A'`, 'people.name derive rows'],
  ['SELECT id FROM people ORDER BY ini(name), id', 'people.name derive order', 'people.name order order'],
  ['SELECT ini(label) FROM people ORDER BY id', 'ini unseen result0'],
  ['SELECT lbl(2)', 'people.name derive result0'],
  ['SELECT nothing(2)'],
  ['subqueries, common table expressions, CASE and FILTER'],
  ['SELECT id FROM people WHERE id = (SELECT id FROM people ORDER BY name LIMIT 1)', 'people.name order rows'],
  [`SELECT id FROM people WHERE id IN (SELECT id FROM people WHERE name LIKE 'A%')`, 'people.name pattern rows'],
  [
    'WITH x AS (SELECT id, left(name, 1) AS l FROM people) SELECT l FROM x ORDER BY id',
    'people.name derive rows',
    'people.name derive result0',
  ],
  [`WITH x AS (SELECT id, left(name, 1) AS l FROM people) SELECT id FROM x WHERE l = 'A'`, 'people.name derive rows'],
  ['SELECT (SELECT max(name) FROM people), 1', 'people.name order result0'],
  [`SELECT CASE WHEN name LIKE 'A%' THEN 'vip' ELSE 'none' END FROM people ORDER BY id`, 'people.name pattern result0'],
  [
    `SELECT name LIKE 'A%', name > 'B', length(name) > 4, name = 'Bob' FROM people ORDER BY id`,
    'people.name pattern result0',
    'people.name order result1',
    'people.name derive result2',
  ],
  [`SELECT count(*) FILTER (WHERE name LIKE 'A%') FROM people`, 'people.name pattern result0'],
  ['SELECT sum(CASE WHEN length(name) > 3 THEN 1 ELSE 0 END) FROM people', 'people.name derive result0'],
  ['columns that meet columns of another kind'],
  ['SELECT p.id FROM people p JOIN notes n ON n.title = p.name ORDER BY 1', 'notes.title and people.name kinds rows'],
  ['SELECT p.id FROM people p JOIN notes n ON n.who = p.email ORDER BY 1'],
  [
    `SELECT p.id FROM people p JOIN notes n ON n.title LIKE p.name || '%' ORDER BY 1`,
    'people.name derive rows',
    'notes.title pattern rows',
    'people.name pattern rows',
    'notes.title and people.name kinds rows',
  ],
  [
    'SELECT p.id FROM people p WHERE p.label IN (SELECT who FROM notes) ORDER BY 1',
    'people.label and notes.who kinds rows',
  ],
  ['SELECT p.id FROM people p JOIN notes n ON n.who = p.nick ORDER BY 1'],
  ['SELECT coalesce(nick, name) FROM people ORDER BY id', 'people.nick and people.name kinds result0'],
  ['SELECT coalesce(name, email) FROM people ORDER BY id', 'people.name and people.email kinds result0'],
  [
    'SELECT CASE WHEN id = 1 THEN name ELSE email END FROM people ORDER BY id',
    'people.name and people.email kinds result0',
  ],
  [
    'SELECT CASE WHEN id = 1 THEN name ELSE label END FROM people ORDER BY id',
    'people.name and people.label kinds result0',
  ],
  ['SELECT name FROM people UNION ALL SELECT email FROM people', 'people.name and people.email kinds rows'],
  ['SELECT label FROM people UNION ALL SELECT name FROM people', 'people.label and people.name kinds rows'],
  ['SELECT name FROM people INTERSECT SELECT title FROM notes', 'people.name and notes.title kinds rows'],
  [`SELECT id FROM people WHERE name = 'Bob' OR email = 'Bob'`],
  [`SELECT id FROM people WHERE 'alice@corp.example' IN (email, name)`, 'people.email and people.name kinds rows'],
  ['writes'],
  [
    'INSERT INTO notes SELECT id + 10, name, email, label FROM people WHERE id = 2 RETURNING *',
    'notes.who and people.name kinds stored',
  ],
  [
    'INSERT INTO notes SELECT id + 10, name, left(email, 3), label FROM people WHERE id = 2 RETURNING *',
    'people.email derive stored',
    'notes.who and people.name kinds stored',
  ],
  [
    'UPDATE notes SET title = p.name FROM people p WHERE p.id = notes.id RETURNING notes.*',
    'notes.title and people.name kinds stored',
  ],
  [
    'UPDATE people SET nick = left(name, 3) WHERE id = 1 RETURNING nick',
    'people.name derive stored',
    'people.nick and people.name kinds stored',
  ],
  [
    'UPDATE people SET label = left(name, 3) WHERE id = 1 RETURNING label',
    'people.name derive stored',
    'people.label and people.name kinds stored',
  ],
  ['DELETE FROM people WHERE length(name) = 3 RETURNING id', 'people.name derive rows'],
  ['the rest of the language'],
  [
    'SELECT xmlserialize(content xmlelement(name a, name) as text) FROM people ORDER BY id',
    'people.name derive result0',
  ],
  [
    `SELECT id FROM people WHERE xmlserialize(content xmlelement(name a, name) as text) LIKE '%Bob%'`,
    'people.name derive rows',
    'people.name pattern rows',
  ],
  [`SELECT JSON_VALUE(data, '$.town') FROM people ORDER BY id`, 'people.data.town json_text result0'],
  [`SELECT id FROM people WHERE JSON_VALUE(data, '$.town') = 'Ulm'`, 'people.data.town json_text rows'],
  [`SELECT JSON_OBJECT('n': name) FROM people ORDER BY id`, 'people.name derive result0'],
  [`SELECT id FROM people WHERE JSON_EXISTS(data, '$.town ? (@ == "Ulm")')`, 'people.data derive rows'],
  ['SELECT p FROM people p WHERE id = 2', 'people.search derive result0'],
  ['SELECT ROW(id, name, email) FROM people ORDER BY id'],
  ['SELECT array_agg(ROW(id, name)) FROM people'],
  [`SELECT id FROM people p WHERE p.name IS DISTINCT FROM 'Bob' ORDER BY id`],
  [`SELECT id FROM people WHERE (name, email) IN (('Bob','bob@corp.example')) ORDER BY id`],
  [
    `SELECT trim(name), btrim(name, 'B'), ltrim(name, 'A') FROM people ORDER BY id`,
    'people.name derive result1',
    'people.name derive result2',
  ],
  [`SELECT nullif(name, 'Bob') FROM people ORDER BY id`],
  ['SELECT name = lower(name) FROM people ORDER BY id', 'people.name derive result0', 'people.name fold result0'],
  ['SELECT id FROM people WHERE name = initcap(name) ORDER BY id', 'people.name derive rows', 'people.name fold rows'],
  ['SELECT grouping(name), name FROM people GROUP BY ROLLUP (name)'],
  ['SELECT id, count(*) OVER (PARTITION BY left(name, 1)) FROM people ORDER BY id', 'people.name derive result1'],
  [
    'SELECT id, sum(id) OVER (ORDER BY name ROWS UNBOUNDED PRECEDING) FROM people ORDER BY id',
    'people.name order result1',
  ],
  ['SELECT min(id) FROM people GROUP BY lower(name) ORDER BY 1', 'people.name fold rows'],
  ['SELECT width_bucket(ssn, 0, 1000, 4) FROM people ORDER BY id', 'people.ssn derive result0'],
  ['SELECT num_nonnulls(name, email), name IS NULL, name IS NOT DISTINCT FROM name FROM people ORDER BY id'],
  ['SELECT pg_column_size(name) FROM people ORDER BY id', 'people.name derive result0'],
  [`SELECT id FROM people WHERE name BETWEEN SYMMETRIC 'C' AND 'A' ORDER BY id`, 'people.name order rows'],
  [`SELECT id FROM people WHERE lower(email) LIKE '%@corp.example' ORDER BY id`, 'people.email pattern rows'],
  [
    `SELECT split_part(email, '@', 2), count(*) FROM people GROUP BY 1 ORDER BY 2`,
    'people.email derive rows',
    'people.email derive result0',
  ],
  [`SELECT lower(split_part(email, '@', 1)) FROM people ORDER BY id`, 'people.email derive result0'],
  ['SELECT id FROM people WHERE email = lower(email) ORDER BY id', 'people.email derive rows'],
  [`SELECT id FROM people WHERE email ILIKE 'CAROL@%'`, 'people.email pattern rows'],
  ['SELECT unnest(array_agg(name ORDER BY id)) FROM people'],
  ['SELECT to_tsvector(bio) FROM people ORDER BY id', 'people.bio derive result0'],
  ['SELECT search FROM people ORDER BY id', 'people.search derive result0'],
]

const GROUPS = new Map<string, { sql: string; cautions: readonly string[] }[]>()
for (const [text, ...cautions] of STATEMENTS) {
  const isHeading = !/^(SELECT|WITH|INSERT|UPDATE|DELETE)/.test(text)
  if (isHeading) GROUPS.set(text, [])
  else [...GROUPS.values()].at(-1)!.push({ sql: text, cautions })
}

let twins: Twins
let keepsAll: Masker
beforeAll(async () => {
  twins = await Twins.create(SCHEMA, DATA, POLICY, ['people', 'notes'])
  const catalog = await readCatalog(twins.original)
  const policy = parsePolicy('version: 1\ncolumns:\n  "*.*.*": keep\n', 'keep.yaml')
  keepsAll = await createMasker({ key: KEY, policy, catalog })
})
afterAll(() => twins.drop())

const PERSONAL =
  /alice|obrien|bob\b|carol|zimmer|corp\.example|home\.example|987654321|123456789|1980-02-29|1990-12-31|0195f6a2/i

describe.each([...GROUPS])('%s', (_, statements) => {
  test.each(statements)('$sql', async ({ sql, cautions }) => {
    await each('BEGIN')
    const answers = await twins.both(sql).finally(() => each('ROLLBACK'))
    expect(answers.facts.cautions.map(told)).toEqual(
      cautions.length > 0 && sql.includes('lbl(') ? expect.arrayContaining([...cautions]) : cautions,
    )
    expect(unexplained(answers, !sql.includes('ORDER BY'))).toEqual([])
    expect(`${answers.safe} ${JSON.stringify(answers.recorded)}`).not.toMatch(PERSONAL)
    expect(ofColumns(keepsAll.sql(sql).facts.cautions)).toEqual([])
  })
})

test('the statements do differ, or nothing would be shown', async () => {
  const differing: string[] = []
  for (const [sql, ...cautions] of STATEMENTS) {
    if (cautions.length === 0) continue
    await each('BEGIN')
    const { recorded, replayed } = await twins.both(sql).finally(() => each('ROLLBACK'))
    if (JSON.stringify(recorded) !== JSON.stringify(replayed)) differing.push(sql)
  }
  expect(differing.length).toBeGreaterThan(110)
})

async function each(sql: string): Promise<void> {
  await twins.original.query(sql)
  await twins.shadow.query(sql)
}

function told({ name, use, affects }: MaskingCaution): string {
  const what = affects.what === 'result' ? `result${affects.at}` : affects.what
  return `${name.replaceAll('public.', '')} ${use} ${what}`
}

/** What a function makes of a literal is masked whatever the policy says of columns. */
function ofColumns(cautions: readonly MaskingCaution[]): readonly string[] {
  return cautions.filter(({ name, use }) => use !== 'unseen' && !name.startsWith('a literal')).map(told)
}

/** The two answers, if they differ in another way than the cautions say. */
function unexplained({ facts, recorded, replayed }: Answers, inAnyOrder: boolean): readonly (readonly Row[])[] {
  const what = new Set(facts.cautions.map(({ affects }) => affects.what))
  if (what.has('rows') || what.has('stored')) return []
  const hidden = facts.cautions.flatMap(({ affects }) => (affects.what === 'result' ? [affects.at] : []))
  const shown = (rows: readonly Row[]) => {
    const left = rows.map((row) => row.filter((_, at) => !hidden.includes(at)))
    return inAnyOrder || what.has('order') ? left.map((row) => JSON.stringify(row)).sort() : left
  }
  return JSON.stringify(shown(recorded)) === JSON.stringify(shown(replayed)) ? [] : [recorded, replayed]
}
