-- What a migration of the clinic might do, with nothing an application should notice.
ALTER TABLE clinic.doctor ALTER COLUMN name TYPE varchar(120);
ALTER TABLE clinic.form ALTER COLUMN price TYPE numeric(14, 2);
CREATE INDEX ON clinic.patient (lower(name));
ALTER TABLE clinic.booking ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE clinic.booking DROP COLUMN made_at;
