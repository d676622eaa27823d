"""Python with a protocol of its own: everything named, everything binary, portals read in pieces, executions pipelined, COPY in binary."""
import asyncio
import json
import sys

import asyncpg

BY_ID = "SELECT id, name, age, data, tags, raw, big, price, joined FROM member WHERE id = $1"
results = []


def keep(rows):
    results.append([tuple(row) for row in rows])


async def main(url):
    connection = await asyncpg.connect(url)
    for i in range(5):
        keep(await connection.fetch(BY_ID, i))
    keep(await connection.fetch("SELECT $1::int4[] AS a, $2::numeric AS n, $3::jsonb AS j", [1, None, 3], 1, '{"a": 1}'))
    await connection.executemany("INSERT INTO member (name, age) VALUES ($1, $2)", [(f"a{i}", i) for i in range(40)])
    async with connection.transaction():
        piece = await connection.cursor("SELECT id, name FROM member WHERE id > $1 ORDER BY id", 5)
        keep(await piece.fetch(7))
        keep(await piece.fetch(7))
        async for row in connection.cursor("SELECT id FROM member ORDER BY id LIMIT 60", prefetch=25):
            keep([row])
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM member WHERE id = $1", 9)
                await connection.fetch("SELECT 1 / $1::int", 0)
        except asyncpg.PostgresError as error:
            results.append(error.sqlstate)
    statement = await connection.prepare("UPDATE member SET age = $2 WHERE id = $1 RETURNING id, age")
    for i in range(10, 14):
        keep(await statement.fetch(i, i * 2))
    await connection.copy_records_to_table("member", records=[(f"r{i}", i) for i in range(60)], columns=["name", "big"])
    results.append(await connection.execute("SELECT 1; SELECT count(*) FROM member"))
    await connection.close()


asyncio.run(main(sys.argv[1]))
print(json.dumps(results, default=str))
