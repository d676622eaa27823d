"""Python on libpq's extended protocol: named statements from the fifth execution on, binary cursors, pipelines, cursors of the server, COPY."""
import json
import sys

import psycopg
from psycopg.types.json import Jsonb

BY_ID = "SELECT id, name, age, data, tags, raw, big, price, joined FROM member WHERE id = %s"
results = []

with psycopg.connect(sys.argv[1]) as connection:
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        for i in range(8):
            results.append(cursor.execute(BY_ID, (i,)).fetchall())
        cursor.execute("SELECT %s::int4[], %s::jsonb, %b::bytea", ([1, None, 3], Jsonb({"a": [1]}), b"\x00\xff"))
        results.append(cursor.fetchall())
    with connection.pipeline():
        cursor.executemany(
            "INSERT INTO member (name, age) VALUES (%s, %s) RETURNING id",
            [(f"p{i}", i) for i in range(20)],
            returning=True,
        )
        for _ in range(20):
            results.append(cursor.fetchall())
            cursor.nextset()
    try:
        with connection.transaction(), connection.pipeline():
            connection.execute("UPDATE member SET age = age + 1 WHERE id = 1")
            connection.execute("SELECT 1 / %s::int", (0,))
            connection.execute("UPDATE member SET age = age + 1 WHERE id = 2")
    except psycopg.Error as error:
        results.append(error.sqlstate)
    with connection.cursor(name="walk") as walk:
        walk.itersize = 30
        walk.execute("SELECT id, name FROM member WHERE id > %s ORDER BY id", (10,))
        results.append([row for row in walk])
    with connection.cursor() as cursor:
        with cursor.copy("COPY member (name, age) FROM STDIN") as copy:
            for i in range(50):
                copy.write_row((f"copied {i}", None if i % 7 == 0 else i))
        with cursor.copy("COPY member (name, big) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "int8"])
            for i in range(50):
                copy.write_row((f"binary {i}", i << 33))
        with cursor.copy("COPY (SELECT id, name FROM member WHERE id < 5 ORDER BY id) TO STDOUT") as copy:
            results.append([bytes(chunk) for chunk in copy])
    connection.execute("SELECT count(*) FROM member; DELETE FROM member WHERE id = 7")

print(json.dumps(results, default=str))
