INSERT INTO people (email, nick, created_at) VALUES
  ('Ann@example.com', 'ANN', '2024-03-31 01:30:00+01'),
  ('bob@example.com', NULL, '1999-12-31 23:59:59.999999+00'),
  ('', '', 'infinity'),
  (NULL, E'tab\there', '4713-01-01 BC');
INSERT INTO "Odd schema"."Hard ""types""" VALUES
  (1, 'Ann@example.com', ARRAY['a', NULL, '', 'NULL', 'with "quote"', E'back\\slash', '{curly,}'], '{{1,2},{3,4}}',
   '{"e": "Ann@example.com", "n": 1.50, "deep": [null, {"k": "\u00e9\t"}]}', '{ "b": 1,  "a": 2 }', 12.5, 'so happy',
   '{sad,"so happy"}', ROW('Straße 1', '{ok}'), ARRAY[ROW('a,"b"', NULL)::address, NULL], '[0.1,0.2)',
   '["2024-01-01 00:00:00+00",)', '\x00ff0a5c', '0044-03-15 BC', '1 year 2 mons -3 days 04:05:06.000007',
   12345678901234567890.1234567890, 0.1::float8 + 0.2::float8, B'10101', '(1.5,-2)', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
   '2001:db8::1/64', to_tsvector('simple', 'a fat cat'), 'ab', '<a href="x">é</a>'),
  (7, NULL, '{}', NULL, 'null', 'null', NULL, NULL, '{}', ROW(NULL, NULL), '{}', 'empty', 'empty', '', 'infinity', '0', 'NaN',
   'Infinity', B'', NULL, NULL, NULL, '', '', NULL),
  (8, 'bob@example.com', ARRAY[E'line\nbreak', E'tab\t', E'cr\r\n', E'\\N', '\.'], NULL, '"\\."', '[]', 0, 'sad', NULL, NULL, NULL,
   NULL, NULL, '\x', NULL, NULL, -0.0, '-0', NULL, NULL, NULL, NULL, NULL, E'a\tb', NULL);
INSERT INTO people (email) VALUES (E'odd\\N'), (E'\\.'), (E'multi\nline\ttab\\back\rcr\x08\x0b\x0c'), ('日本語 🐘 ń'), ('\N');
INSERT INTO events (at, note) SELECT date '2020-01-01' + n * 30, 'note ' || n FROM generate_series(1, 100) n;
INSERT INTO parent VALUES (1, 'in the parent');
INSERT INTO child VALUES (2, 'in the child', 3);
INSERT INTO nothing SELECT FROM generate_series(1, 5);
INSERT INTO scratch SELECT generate_series(1, 3);
SELECT nextval('tickets'), nextval('tickets');
SELECT setval('"Odd schema"."Hard ""types""_the id_seq"', 41, true);
REFRESH MATERIALIZED VIEW b_counts;
REFRESH MATERIALIZED VIEW a_counts;
