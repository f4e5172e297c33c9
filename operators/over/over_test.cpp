// over: every function and frame against a plain loop over each frame, precision and range of sums, types, faults. Compared with pandas in
// tests/scripts/fast_pandas.sh.
#include "operators/over/over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "framework/base/random.h"
#include "framework/data/row_text.h"
#include "operators/over/window_functions.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using data::Column;
using data::Type;
using op::Frame;
using op::OrderedRows;
using op::WindowFunction;
using ::testing::HasSubstr;

// Sorted rows: partitions of many sizes, ties in `t`, nulls and repeated values in `x` (floats) and `i` (whole numbers).
struct Rows {
  data::Batch batch;
  std::vector<int64_t> partitions, ties;
};

Rows made_up(uint64_t seed, bool large_numbers = false) {
  Random random(seed, 0);
  Column x(Type::kFloat64), i(Type::kInt64), s(Type::kString);
  Rows rows;
  int64_t n = 0;
  for (int64_t size : {1, 2, 3, 50, 1, 117, 7}) {
    rows.partitions.push_back(n);
    for (int64_t k = 0; k < size; ++k, ++n) {
      if (k == 0 || random.below(3)) rows.ties.push_back(n);
      random.below(5) ? x.append(double(random.below(40)) / 4 - 3) : x.append_null();
      random.below(5) ? i.append(int64_t(random.below(30)) * (large_numbers ? 1'000'000'000'000 : 1) - 7) : i.append_null();
      random.below(5) ? s.append_string(fmt::format("w{}", random.below(6))) : s.append_null();
    }
  }
  rows.partitions.push_back(n), rows.ties.push_back(n);
  rows.batch = data::Batch({{"x", Type::kFloat64}, {"i", Type::kInt64}, {"s", Type::kString}}, {x, i, s});
  return rows;
}

OrderedRows ordered(const Rows& rows, const Frame& frame) {
  OrderedRows out{rows.batch, rows.partitions, rows.ties, {}, {}};
  out.set_frames(frame);
  return out;
}

// What SQL says of one frame, by a loop over it.
std::optional<double> expected(const std::string& f, const Column& x, int64_t from, int64_t to) {
  std::vector<double> values;
  for (int64_t r = from; r < to; ++r)
    if (x.is_valid(r)) values.push_back(x.as_double(r));
  if (f == "count") return double(values.size());
  if (f == "first" || f == "last") {
    if (from == to) return {};
    const int64_t r = f == "first" ? from : to - 1;
    return x.is_valid(r) ? std::optional(x.as_double(r)) : std::nullopt;
  }
  if (values.empty()) return {};
  if (f == "min") return *std::min_element(values.begin(), values.end());
  if (f == "max") return *std::max_element(values.begin(), values.end());
  double sum = 0, square = 0;
  for (double v : values) sum += v;
  if (f == "sum") return sum;
  const double mean = sum / double(values.size());
  if (f == "mean") return mean;
  for (double v : values) square += (v - mean) * (v - mean);
  const double freedom = f.ends_with("_pop") ? double(values.size()) : double(values.size()) - 1;
  if (freedom < 1) return {};
  return f.starts_with("stddev") ? std::sqrt(square / freedom) : square / freedom;
}

TEST(Over, AggregatesEqualAPlainLoopOverEachFrame) {
  const std::vector<std::vector<std::string>> frames{{}, {"-24", "-1"}, {"-2", "0"}, {"-3", "4"}, {"1", "3"}, {"0", "0"}, {"-500", "500"}, {"unbounded", "0"}, {"unbounded", "-2"}, {"2", "unbounded"}, {"unbounded", "unbounded"}, {"-9", "-9"}};
  for (bool large : {false, true}) {
    const Rows rows = made_up(3, large);
    for (const auto& text : frames) {
      const Frame frame = Frame::parse(text);
      const OrderedRows in = ordered(rows, frame);
      for (const char* f : {"count", "first", "last", "min", "max", "sum", "mean", "variance", "stddev", "variance_pop", "stddev_pop"})
        for (const char* column : {"x", "i"}) {
          SCOPED_TRACE(fmt::format("{}({}) over [{}]", f, column, fmt::join(text, ", ")));
          const Column& x = rows.batch.column(column);
          const Column got = WindowFunction("c", fmt::format("{}({})", f, column), rows.batch.schema()).evaluate(in);
          ASSERT_EQ(got.size(), rows.batch.num_rows());
          for (size_t p = 0; p + 1 < rows.partitions.size(); ++p)
            for (int64_t r = rows.partitions[p]; r < rows.partitions[p + 1]; ++r) {
              const int64_t first = rows.partitions[p], end = rows.partitions[p + 1];
              int64_t from = frame.from ? std::clamp(r + *frame.from, first, end) : first, to = frame.to ? std::clamp(r + *frame.to + 1, first, end) : end;
              if (text.empty()) to = *std::upper_bound(rows.ties.begin(), rows.ties.end(), r);
              const auto want = expected(f, x, from, to);
              ASSERT_EQ(got.is_valid(r), want.has_value()) << r;
              ASSERT_NEAR(got.as_double(r), want.value_or(0), 1e-12 * std::max(1.0, std::fabs(want.value_or(0)))) << r;
            }
        }
    }
  }
}

TEST(Over, PlacesAndNeighbours) {
  const data::Batch batch({{"s", Type::kString}}, {testing::strings({"a", "b", "c", "d", "e", "f", "g", "h"})});
  const std::vector<int64_t> partitions{0, 1, 8}, ties{0, 1, 2, 4, 5, 7, 8};
  const OrderedRows in{batch, partitions, ties, {}, {}};
  auto whole = [&](const std::string& text) {
    const Column c = WindowFunction("c", text, batch.schema()).evaluate(in);
    return std::vector<int64_t>(c.values<int64_t>().begin(), c.values<int64_t>().end());
  };
  auto texts = [&](const std::string& text) {
    const Column c = WindowFunction("c", text, batch.schema()).evaluate(in);
    std::string out;
    for (int64_t r = 0; r < c.size(); ++r) out += c.is_valid(r) ? std::string(c.string(r)) : "-";
    return out;
  };
  EXPECT_EQ(whole("row_number()"), (std::vector<int64_t>{1, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(whole("rank()"), (std::vector<int64_t>{1, 1, 2, 2, 4, 5, 5, 7}));
  EXPECT_EQ(whole("dense_rank()"), (std::vector<int64_t>{1, 1, 2, 2, 3, 4, 4, 5}));
  EXPECT_EQ(whole("ntile(3)"), (std::vector<int64_t>{1, 1, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(whole("ntile(9)"), (std::vector<int64_t>{1, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(texts("lag(s)"), "--bcdefg");
  EXPECT_EQ(texts("lag(s, 3)"), "----bcde");
  EXPECT_EQ(texts("lag(s, 0)"), "abcdefgh");
  EXPECT_EQ(texts("lead(upper(s), 2)"), "-DEFGH--");
  EXPECT_EQ(texts("lead(s, 9223372036854775807)"), "--------");
}

TEST(Over, ShiftsOfEveryTypeStayInTheirPartition) {
  const Rows rows = made_up(11);
  const Column& i = rows.batch.column("i");
  for (Type type : {Type::kBool, Type::kInt32, Type::kInt64, Type::kFloat32, Type::kFloat64, Type::kTimestamp, Type::kString})
    for (bool nulls : {false, true}) {
      Column x(type);
      for (int64_t r = 0; r < i.size(); ++r) {
        const int64_t v = i.as_int64(r);
        if (nulls && !i.is_valid(r)) x.append_null();
        else if (type == Type::kBool) x.append(uint8_t(v > 3));
        else if (type == Type::kInt32) x.append(int32_t(v));
        else if (type == Type::kFloat32) x.append(float(v));
        else if (type == Type::kFloat64) x.append(double(v));
        else if (type == Type::kString) x.append_string(std::to_string(v));
        else x.append(v);
      }
      const data::Batch batch({{"v", type}}, {x});
      const OrderedRows in{batch, rows.partitions, rows.ties, {}, {}};
      for (const char* f : {"lag", "lead"})
        for (int64_t by : {0, 1, 2, 49, 116, 200, 1000}) {
          const Column got = WindowFunction("c", fmt::format("{}(v, {})", f, by), batch.schema()).evaluate(in);
          Column want(type);
          for (size_t p = 0; p + 1 < rows.partitions.size(); ++p)
            for (int64_t r = rows.partitions[p]; r < rows.partitions[p + 1]; ++r) {
              const int64_t from = f == std::string("lag") ? r - by : r + by;
              if (from < rows.partitions[p] || from >= rows.partitions[p + 1]) want.append_null();
              else want.append_row(x, from);
            }
          ASSERT_EQ(got.size(), want.size());
          for (int64_t r = 0; r < got.size(); ++r) ASSERT_EQ(Column::compare(got, r, want, r), 0) << f << " " << by << ", row " << r << ", type " << data::type_name(type);
          ASSERT_TRUE(std::equal(got.bytes().begin(), got.bytes().end(), want.bytes().begin(), want.bytes().end())) << "a null holds zero";
        }
    }
}

// What leaves a frame leaves nothing behind: no rounding of a large number, no infinity, no NaN.
TEST(Over, FloatFramesKeepNothingOfWhatLeft) {
  const double inf = std::numeric_limits<double>::infinity();
  const data::Batch batch({{"x", Type::kFloat64}}, {testing::doubles({1e17, 1, 0.1, 0.2, -inf, 3, std::nan(""), 5, 0.1, inf, -inf, 1e200, 1e200, 2, 3})});
  const std::vector<int64_t> one{0, batch.num_rows()};
  OrderedRows in{batch, one, {}, {}, {}};
  in.set_frames(Frame::parse({"-1", "0"}));
  auto run = [&](const std::string& f) { return WindowFunction("c", f, batch.schema()).evaluate(in); };
  auto sums = run("sum(x)"), variances = run("variance(x)"), highest = run("max(x)"), lowest = run("min(x)");
  auto value = [](const Column& c, int64_t r) { return c.values<double>()[size_t(r)]; };
  EXPECT_EQ(value(sums, 2), 1 + 0.1);
  EXPECT_EQ(value(sums, 3), 0.1 + 0.2);
  EXPECT_EQ(value(sums, 5), -inf);
  EXPECT_TRUE(std::isnan(value(sums, 7)));
  EXPECT_EQ(value(sums, 8), 5.1);
  EXPECT_TRUE(std::isnan(value(sums, 10)));
  EXPECT_EQ(value(sums, 14), 5);
  EXPECT_NEAR(value(variances, 3), 0.005, 1e-17);
  EXPECT_TRUE(std::isnan(value(variances, 5)));
  EXPECT_EQ(value(variances, 12), 0) << "of equal numbers whose squares do not fit";
  EXPECT_EQ(value(variances, 14), 0.5);
  EXPECT_TRUE(std::isnan(value(highest, 6))) << "NaN is above all numbers";
  EXPECT_EQ(value(lowest, 6), 3);
  EXPECT_EQ(value(highest, 8), 5);
}

TEST(Over, OfEqualValuesTheFirstIsTaken) {
  const data::Batch batch({{"x", Type::kFloat64}}, {testing::doubles({-0.0, 0.0, 0.0})});
  const std::vector<int64_t> one{0, 3};
  OrderedRows in{batch, one, {}, {}, {}};
  in.set_frames(Frame::parse({"-1", "0"}));
  for (const char* f : {"min(x)", "max(x)"}) {
    const Column got = WindowFunction("c", f, batch.schema()).evaluate(in);
    EXPECT_TRUE(std::signbit(got.values<double>()[1])) << f;
    EXPECT_FALSE(std::signbit(got.values<double>()[2])) << f;
  }
}

// Below 2^31 to the last bit, even where the mean is large beside the deviation; above it nothing overflows.
TEST(Over, VariancesOfWholeNumbers) {
  const data::Batch batch({{"small", Type::kInt64}, {"large", Type::kInt64}},
                          {testing::integers({2'000'000'000, 2'000'000'001, 2'000'000'003, -2'147'483'647}), testing::integers({4'600'000'000'000'000'000, 4'600'000'000'000'000'000, -4'600'000'000'000'000'000, -4'600'000'000'000'000'000})});
  const std::vector<int64_t> one{0, 4};
  OrderedRows in{batch, one, {}, {}, {}};
  in.set_frames(Frame::parse({"-3", "0"}));
  const Column small = WindowFunction("c", "variance_pop(small)", batch.schema()).evaluate(in), large = WindowFunction("c", "variance_pop(large)", batch.schema()).evaluate(in);
  EXPECT_EQ(small.values<double>()[1], 0.25);
  EXPECT_EQ(small.values<double>()[2], 14.0 / 9);
  EXPECT_EQ(large.values<double>()[1], 0);
  EXPECT_NEAR(large.values<double>()[3] / (4.6e18 * 4.6e18), 1, 1e-15);
}

// A running sum rounds once, however long it is.
TEST(Over, FloatSumsAreCarriedInTwiceThePrecision) {
  const int64_t n = 100'000;
  const data::Batch batch({{"x", Type::kFloat64}}, {testing::doubles(std::vector<double>(size_t(n), 0.1))});
  const std::vector<int64_t> one{0, n};
  for (const std::vector<std::string>& frame : {std::vector<std::string>{"unbounded", "0"}, {"-999", "0"}}) {
    OrderedRows in{batch, one, {}, {}, {}};
    in.set_frames(Frame::parse(frame));
    const Column sums = WindowFunction("c", "sum(x)", batch.schema()).evaluate(in);
    for (size_t r = 0; r < size_t(n); ++r) ASSERT_EQ(sums.values<double>()[r], 0.1 * double(in.to[r] - in.from[r])) << r;
  }
}

TEST(Over, WholeSumsAreExactAndOverflowIsAnError) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const data::Batch batch({{"i", Type::kInt64}}, {testing::integers({most, -1, 1, most, -most, 5})});
  const std::vector<int64_t> one{0, batch.num_rows()};
  OrderedRows in{batch, one, {}, {}, {}};
  const WindowFunction sum("total", "sum(i)", batch.schema());
  in.set_frames(Frame::parse({"-1", "0"}));
  try {
    sum.evaluate(in);
    ADD_FAILURE() << "1 + most fits?";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kData);
    EXPECT_THAT(e.text(), HasSubstr("column 'total': the sum of a frame does not fit a 64-bit whole number\n  hint: sum floats"));
  }
  in.set_frames(Frame::parse({"0", "0"}));
  EXPECT_EQ(sum.evaluate(in).as_int64(3), most) << "other rows of the partition do not count";
  in.set_frames(Frame::parse({"unbounded", "unbounded"}));
  const data::Batch back({{"i", Type::kInt64}}, {testing::integers({most, most, -most, -most, 5, 6})});
  OrderedRows whole{back, one, {}, {}, {}};
  whole.set_frames(Frame::parse({"unbounded", "unbounded"}));
  EXPECT_EQ(sum.evaluate(whole).as_int64(0), 11) << "only the sum of the frame must fit";
}

const std::string kEvents = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl, partitions: 7, time_zone: Asia/Shanghai, types: { i: int32, h: float32, tags: list<string> } }\n";

std::string events(int n) {
  std::string text;
  for (int k = 0; k < n; ++k) {
    Random random(9, uint64_t(k));
    auto maybe = [&](const std::string& v) { return random.below(9) == 0 ? std::string("null") : v; };
    text += fmt::format("{{\"user\":{},\"ts\":{},\"action\":{},\"value\":{},\"i\":{},\"h\":{},\"tags\":[\"t{}\"]}}\n", maybe(fmt::format("\"u{}\"", random.below(2) ? 0 : random.below(30))), 1'700'000'000 + int64_t(random.below(300)) * 900,
                        maybe(fmt::format("\"a{}\"", random.below(3))), maybe(fmt::format("{}", double(random.below(2000)) / 7 - 100)), maybe(fmt::format("{}", random.below(50))), maybe(fmt::format("{}", double(random.below(9)) / 4)), k);
  }
  return text;
}

TEST(Over, SameRowsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(2000));
  testing::run_on_all_rank_counts(kEvents + R"yaml(
  all: { op: over, from: events, by: [user], order: [ts], columns: { before: lag(action), after: "lead(ts, 2)", k: row_number(), r: rank(), d: dense_rank(), q: ntile(4), f: first(i), n: count(), s: sum(value), m: mean(value), sd: stddev(value), hi: max(action) } }
  framed: { op: over, from: events, by: [action, user], order: [-value, ts], rows: [-24, -1], columns: { s: sum(value), v: variance_pop(value), c: count(i), lo: min(value), l: last(i) } }
  one: { op: over, from: events, order: [-ts], rows: [unbounded, 0], columns: { s: sum(value), k: row_number() } }
  unordered: { op: over, from: events, by: [user], columns: { s: sum(i), k: row_number() } }
)yaml", folder);
}

// Columns as they stand keep type and zone; all rows stay, with all their columns.
TEST(Over, KeepsTypesZonesAndRows) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(200));
  auto run = testing::run_job(kEvents + "  all: { op: filter, from: events, where: \"true\" }\n  o: { op: over, from: events, by: [user], order: [ts], columns: { a: lag(i), b: lead(h), c: first(tags), d: \"last(date_trunc('day', ts))\", e: max(ts), f: lag(value > 1), g: sum(i), h2: sum(h), j: mean(i), k: min(h) } }\n",
                              folder, "out", {2, 1});
  auto events = run.rows("all"), rows = run.rows("o");
  const auto& schema = rows.schema();
  EXPECT_EQ(schema.at("a"), (data::Field{"a", Type::kInt32}));
  EXPECT_EQ(schema.at("b"), (data::Field{"b", Type::kFloat32}));
  EXPECT_EQ(schema.at("c"), (data::Field{"c", Type::kListString}));
  EXPECT_EQ(schema.at("d"), (data::Field{"d", Type::kTimestamp, "Asia/Shanghai"}));
  EXPECT_EQ(schema.at("e"), (data::Field{"e", Type::kTimestamp, "Asia/Shanghai"}));
  EXPECT_EQ(schema.at("f"), (data::Field{"f", Type::kBool}));
  EXPECT_EQ(schema.at("g"), (data::Field{"g", Type::kInt64}));
  for (const char* name : {"h2", "j"}) EXPECT_EQ(schema.at(name).type, Type::kFloat64);
  EXPECT_EQ(schema.at("k"), (data::Field{"k", Type::kFloat32}));
  std::vector<std::string> before, after;
  for (int64_t r = 0; r < events.num_rows(); ++r) before.push_back(data::row_as_json(events, r));
  rows = rows.project(events.schema().names());
  for (int64_t r = 0; r < rows.num_rows(); ++r) after.push_back(data::row_as_json(rows, r));
  std::sort(before.begin(), before.end()), std::sort(after.begin(), after.end());
  EXPECT_EQ(before, after);
}

TEST(Over, FaultsAreFoundBeforeAnyRowIsRead) {
  struct Case {
    const char *parameters, *message;
  };
  for (const Case& c : std::vector<Case>{
           {"columns: { m: meen(value) }", "column 'm': unknown function 'meen'\n  hint: did you mean 'mean'?"},
           {"columns: { m: value }", "column 'm' is 'value': expected function(column or expression)"},
           {"columns: { m: \"sum(value\" }", "expected function(column or expression)"},
           {"columns: { m: sum(action) }", "column 'm' is 'sum(action)': sum of a string; expected a number"},
           {"columns: { m: stddev(ts) }", "stddev of a timestamp; expected a number"},
           {"columns: { m: max(tags) }", "max of a list<string>"},
           {"columns: { m: lag() }", "lag takes a value and how many rows"},
           {"columns: { m: \"lag(action, -1)\" }", "'-1' is no whole number from 0"},
           {"columns: { m: \"lag(action, i)\" }", "'i' is no whole number from 0"},
           {"columns: { m: \"lag(action,, 1)\" }", "an argument is empty"},
           {"columns: { m: ntile(0) }", "'0' is no whole number from 1"},
           {"columns: { m: row_number(i) }", "row_number takes no argument"},
           {"columns: { m: \"mean(value, 2)\" }", "mean takes 1 argument"},
           {"columns: { m: mean(valeu) }", "did you mean 'value'"},
           {"columns: { ts: lag(ts) }", "'columns' names 'ts', but there is a column of that name\n  hint: choose another name"},
           {"columns: {}", "'columns' is empty"},
           {"by: [usr], columns: { k: row_number() }", "did you mean 'user'"},
           {"by: [user, user], columns: { k: row_number() }", "'user' is named twice"},
           {"order: [ts, -ts], columns: { k: row_number() }", "'ts' is named twice"},
           {"by: [tags], columns: { k: row_number() }", "rows cannot be grouped by it"},
           {"order: [-tags], columns: { k: row_number() }", "rows cannot be ordered by it"},
           {"rows: [-1], columns: { s: sum(i) }", "'rows' has 1 value; expected two, from and to"},
           {"rows: [1, -1], columns: { s: sum(i) }", "'rows' goes from 1 to -1: it ends before it begins\n  hint: such as rows: [-24, -1]"},
           {"rows: [-1.5, 0], columns: { s: sum(i) }", "'rows' names '-1.5'; expected a whole number or unbounded"},
           {"rows: [first, 0], columns: { s: sum(i) }", "'rows' names 'first'"}}) {
    testing::TemporaryFolder folder;
    folder.write("e.jsonl", events(20));
    try {
      testing::run_job(kEvents + "  s: { op: over, from: events, " + c.parameters + " }\n", folder, "out");
      ADD_FAILURE() << c.parameters;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob) << c.parameters;
      EXPECT_THAT(e.text(), HasSubstr(c.message)) << c.parameters;
      EXPECT_THAT(e.text(), HasSubstr("job.yaml:4:")) << c.parameters;
    }
  }
}

}  // namespace
}  // namespace throng
