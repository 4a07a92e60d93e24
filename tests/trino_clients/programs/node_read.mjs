// What trino-client of npm does with a warehouse. Prints what held.
import assert from "node:assert";
import { Trino } from "trino-client";

const trino = Trino.create({ server: `http://127.0.0.1:${process.argv[2]}`, catalog: "awsdatacatalog", schema: "shop" });

async function rows(sql) {
  const found = [];
  for await (const answer of await trino.query(sql)) {
    if (answer.error) throw new Error(answer.error.message);
    found.push(...(answer.data ?? []));
  }
  return found;
}

assert.deepEqual(await rows("select count(*) from orders"), [[100]]);
console.log("a query");
const [row] = await rows("select n, price, day, at, tags, m, device from every where id = 'full'");
assert.deepEqual(row, [-5, "1.5000", "2026-01-31", "2026-01-31 12:00:00.500", ["x", null], { k: 1 }, ["ios", 320]]);
console.log("types of columns");
const many = "select (a.x - 1) * 1000 + b.y from unnest(sequence(1, 200)) a(x), unnest(sequence(1, 1000)) b(y)";
assert.equal((await rows(many)).length, 200000);
console.log("200,000 rows in pages");
await assert.rejects(rows("select nope from orders"), /nope/);
console.log("an error");
