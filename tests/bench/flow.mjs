// DuckDB's side of the flow cases: loads the CSV files into its own file, runs each query REPEATS times. Prints {case: {seconds, rows | check}}.
// usage: flow.mjs WORK DATA KIT TEXT REPEATS CASE..
import { createRequire } from "node:module";
import { readFileSync, rmSync } from "node:fs";
const [, , work, data, kit, text, repeats, ...cases] = process.argv;
const require = createRequire(work + "/package.json");
const { DuckDBInstance } = require("@duckdb/node-api");
const file = work + "/flow.duckdb";
rmSync(file, { force: true });
const c = await (await DuckDBInstance.create(file, { threads: "2" })).connect();
const seconds = async work => { const start = performance.now(); await work(); return (performance.now() - start) / 1000; };
const median = async work => { const times = []; for (let k = 0; k < repeats; ++k) times.push(await work()); return times.sort((a, b) => a - b)[repeats >> 1]; };
const plain = v => v === null || typeof v === "string" ? v : Number(v);
const rowsOf = async sql => (await c.runAndReadAll(sql)).getRows().map(row => row.map(plain));
const result = {};
if (cases.some(name => name !== "wordcount")) {
  result.load = { seconds: await seconds(() => c.run(`create table events as select user_id::int as user_id, item_id::int as item_id, ts::bigint as ts, action::int as action, value::float as value from read_csv('${data}/events.csv')`)) };
  await c.run(`create table items as select item_id::int as item_id, category::int as category from read_csv('${data}/items.csv')`);
  await c.run("checkpoint");
  // Counts and sums of every column, to compare what was loaded; whole numbers as text, since they pass what a double holds.
  const sums = await c.runAndReadAll("select count(*), sum(user_id), sum(item_id), sum(ts - 1704067200000), sum(action), sum(value::double) from events");
  result.load.check = sums.getRows()[0].map(v => typeof v === "bigint" ? String(v) : v);
}
const sql = name => name !== "wordcount" ? readFileSync(`${kit}/${name}.sql`, "utf8")
  : `select word, count(*) as n from (select unnest(string_split(line, ' ')) as word from read_csv('${text}', columns = {line: 'varchar'}, header = false, delim = '\\x01', quote = '', escape = '')) where word <> '' group by 1`;
for (const name of cases) {
  if (name === "load") continue;
  if (name === "sort") {
    const sorted = await median(async () => {
      await c.run("drop table if exists sorted");
      return seconds(() => c.run("create table sorted as select * from events order by user_id, ts"));
    });
    // A checksum of the order: rows numbered, numbers and users multiplied.
    result.sort = { seconds: sorted, check: (await rowsOf("select count(*), sum((rowid % 1000003) * (user_id % 1009))::bigint from sorted"))[0] };
    continue;
  }
  let rows;
  const took = await median(() => seconds(async () => { rows = await rowsOf(sql(name)); }));
  result[name] = { seconds: took, rows };
}
console.log(JSON.stringify(result));
