// DuckDB's side of the flow cases: loads the CSV files into its own file, then runs a case each time it reads the name of one, and prints
// {seconds, rows | check} on a line. So that its runs and Throng's take turns, and what else the machine does meets both.
// usage: flow.mjs WORK DATA KIT TEXT load|none
import { createRequire } from "node:module";
import { readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
const [, , work, data, kit, text, tables] = process.argv;
const require = createRequire(work + "/package.json");
const { DuckDBInstance } = require("@duckdb/node-api");
const file = work + "/flow.duckdb";
rmSync(file, { force: true });
const c = await (await DuckDBInstance.create(file, { threads: "2" })).connect();
const seconds = async work => { const start = performance.now(); await work(); return (performance.now() - start) / 1000; };
const plain = v => v === null || typeof v === "string" ? v : Number(v);
const rowsOf = async sql => (await c.runAndReadAll(sql)).getRows().map(row => row.map(plain));

async function load() {
  await c.run("drop table if exists events");
  const took = await seconds(() => c.run(`create table events as select user_id::int as user_id, item_id::int as item_id, ts::bigint as ts, action::int as action, value::float as value from read_csv('${data}/events.csv')`));
  await c.run("checkpoint");
  // Counts and sums of every column, to compare what was loaded; whole numbers as text, since they pass what a double holds.
  const sums = await c.runAndReadAll("select count(*), sum(user_id), sum(item_id), sum(ts - 1704067200000), sum(action), sum(value::double) from events");
  return { seconds: took, check: sums.getRows()[0].map(v => typeof v === "bigint" ? String(v) : v) };
}
async function sort() {
  await c.run("drop table if exists sorted");
  const took = await seconds(() => c.run("create table sorted as select * from events order by user_id, ts"));
  // A checksum of the order: rows numbered, numbers and users multiplied.
  return { seconds: took, check: (await rowsOf("select count(*), sum((rowid % 1000003) * (user_id % 1009))::bigint from sorted"))[0] };
}
const sql = name => name !== "wordcount" ? readFileSync(`${kit}/${name}.sql`, "utf8")
  : `select word, count(*) as n from (select unnest(string_split(line, ' ')) as word from read_csv('${text}', columns = {line: 'varchar'}, header = false, delim = '\\x01', quote = '', escape = '')) where word <> '' group by 1`;
async function query(name) {
  let rows;
  const took = await seconds(async () => { rows = await rowsOf(sql(name)); });
  return { seconds: took, rows };
}

if (tables === "load") {
  await load();
  await c.run(`create table items as select item_id::int as item_id, category::int as category from read_csv('${data}/items.csv')`);
  await c.run("checkpoint");
}
console.log("ready");
for await (const name of createInterface({ input: process.stdin })) console.log(JSON.stringify(await (name === "load" ? load() : name === "sort" ? sort() : query(name))));
