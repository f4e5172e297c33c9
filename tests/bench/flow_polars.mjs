// Polars' side of the flow cases: rows in memory, 2 threads, each query REPEATS times. Prints {case: {seconds, rows | check}}.
// usage: flow_polars.mjs WORK DATA REPEATS CASE..
import { createRequire } from "node:module";
process.env.POLARS_MAX_THREADS = "2";
const [, , work, data, repeats, ...cases] = process.argv;
const pl = createRequire(work + "/package.json")("nodejs-polars");
const events = pl.readCSV(data + "/events.csv", { schema: { user_id: pl.Int32, item_id: pl.Int32, ts: pl.Int64, action: pl.Int32, value: pl.Float32 } });
const items = pl.readCSV(data + "/items.csv", { schema: { item_id: pl.Int32, category: pl.Int32 } });
const c = pl.col, start = 1704067200000, e = () => events.lazy();
// Milliseconds from the data's start to the slot's; this interface has no whole division, and takes a plain number for a float.
const whole = v => pl.lit(v).cast(pl.Int64);
const slot = width => { const t = c("ts").sub(whole(start)); return t.sub(t.modulo(whole(width))).alias("slot"); };
const n = pl.len().alias("n"), sum = c("value").cast(pl.Float64).sum().alias("s");
const same = c("user_id").eq(c("user_id").shift(1)), near = c("gap").ltEq(1800000);
const in_user = value => pl.when(same).then(value).otherwise(pl.lit(null));
const queries = {
  q1: () => e().groupBy([slot(86400000), c("action")]).agg(n, sum),
  q2: () => e().groupBy([slot(86400000), c("item_id")]).agg(c("user_id").nUnique().alias("users")).sort([c("slot"), c("users"), c("item_id")], [false, true, false])
    .withColumn(c("item_id").cumCount().over("slot").alias("k")).filter(c("k").ltEq(100)).select(c("slot"), c("k"), c("item_id"), c("users")),
  q3: () => e().select(c("user_id"), c("ts"), c("action")).sort(["user_id", "ts"])
    .select(in_user(c("action").shift(1)).alias("prev"), c("action"), in_user(c("ts").sub(c("ts").shift(1))).alias("gap"))
    .groupBy(["prev", "action"]).agg(n, c("gap").isNull().or(near.not()).sum().alias("starts"), pl.when(near).then(c("gap")).otherwise(pl.lit(0)).sum().alias("dur_ms")),
  q4: () => e().join(items.lazy(), { on: "item_id", how: "inner" }).groupBy([c("category"), slot(3600000)]).agg(n, sum),
};
// As DuckDB's queries number their days and hours.
const in_slots = { q1: ([t, ...rest]) => [t / 86400000, ...rest], q2: ([t, ...rest]) => [t / 86400000, ...rest], q3: row => row, q4: ([category, t, ...rest]) => [category, t / 3600000, ...rest] };
const result = {};
for (const name of cases) {
  const times = [];
  let frame;
  for (let k = 0; k < repeats; ++k) {
    const begin = performance.now();
    frame = name === "sort" ? events.sort(["user_id", "ts"]) : queries[name]().collectSync();
    times.push((performance.now() - begin) / 1000);
  }
  const seconds = times.sort((a, b) => a - b)[repeats >> 1];
  if (name === "sort")
    result.sort = { seconds, check: frame.select(pl.len().alias("n"), pl.intRange(pl.lit(0), pl.len()).modulo(1000003).mul(c("user_id").cast(pl.Int64).modulo(1009)).sum().alias("check")).rows()[0].map(Number) };
  else result[name] = { seconds, rows: frame.rows().map(row => in_slots[name](row.map(v => v === null ? null : Number(v)))) };
}
console.log(JSON.stringify(result));
