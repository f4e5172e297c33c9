// DuckDB's side of the group-by: counts and distinct users by key and window, from its own table. Prints seconds and a checksum.
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/package.json");
const { DuckDBInstance } = require("@duckdb/node-api");
const c = await (await DuckDBInstance.create(":memory:", { threads: "2" })).connect();
await c.run(`create table t as select "user" as u, epoch(ts::timestamptz)::bigint as s, tokens from read_json('${process.argv[3]}')`);
const start = performance.now();
const r = await c.runAndReadAll(`with k as (select u, (s - 345600) // 604800 as w, unnest(list_distinct(tokens)) as k from t),
  g as (select k, w, count(*) as n, count(distinct u) as d, sum(count(*)) over (partition by k) as total from k group by k, w)
  select count(*), sum(n), sum(d), sum(n * n) from g where total >= 5`);
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ seconds, check: r.getRows()[0].map(Number) }));
