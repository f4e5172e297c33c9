// DuckDB's side of the flow cases: loads the CSV files into its own file, runs each query three times. Prints {case: {seconds, rows | check}}.
import { createRequire } from "node:module";
import { rmSync } from "node:fs";
const [, , work, data] = process.argv;
const require = createRequire(work + "/package.json");
const { DuckDBInstance } = require("@duckdb/node-api");
const file = work + "/flow.duckdb";
rmSync(file, { force: true });
const c = await (await DuckDBInstance.create(file, { threads: "2" })).connect();
const seconds = async work => { const start = performance.now(); await work(); return (performance.now() - start) / 1000; };
const result = { load: { seconds: await seconds(() => c.run(`create table events as select user_id::int as user_id, item_id::int as item_id, ts::bigint as ts, action::int as action, value::float as value from read_csv('${data}/events.csv')`)) } };
await c.run(`create table items as select item_id::int as item_id, category::int as category from read_csv('${data}/items.csv')`);
await c.run("checkpoint");
// Counts and sums of every column, to compare what was loaded.
result.load.check = (await c.runAndReadAll("select count(*), sum(user_id), sum(item_id), sum(ts), sum(action), sum(value::double) from events")).getRows()[0].map(Number);
const numbers = rows => rows.map(row => row.map(Number));
const queries = {
  q1: "select (ts - 1704067200000) // 86400000 as day, action, count(*) as n, sum(value::double) as s from events group by 1,2 order by 1,2",
  q2: `with c as (select (ts - 1704067200000) // 86400000 as day, item_id, count(distinct user_id) as users from events group by 1,2),
       r as (select *, row_number() over (partition by day order by users desc, item_id) as k from c) select day, k, item_id, users from r where k <= 100 order by day, k`,
  q4: `select i.category, (e.ts - 1704067200000) // 3600000 as hour, count(*) as n, sum(e.value::double) as s from events e join items i using (item_id) group by 1,2 order by 1,2`,
};
for (const [name, sql] of Object.entries(queries)) {
  const times = [];
  let rows;
  for (let k = 0; k < 3; ++k) times.push(await seconds(async () => { rows = numbers((await c.runAndReadAll(sql)).getRows()); }));
  result[name] = { seconds: times.sort((a, b) => a - b)[1], rows };
}
const sorts = [];
for (let k = 0; k < 3; ++k) {
  await c.run("drop table if exists sorted");
  sorts.push(await seconds(() => c.run("create table sorted as select * from events order by user_id, ts")));
}
// A checksum of the order: rows numbered, numbers and users multiplied.
const check = numbers((await c.runAndReadAll("select count(*), sum((rowid % 1000003) * (user_id % 1009))::bigint from sorted")).getRows())[0];
result.sort = { seconds: sorts.sort((a, b) => a - b)[1], check };
console.log(JSON.stringify(result));
