// Expressions against answers worked out by hand.
#include "framework/data/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "framework/base/random.h"
#include "framework/data/time.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {
using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000;

// Row 0 holds values, row 1 only nulls.
Batch rows() {
  Schema schema{{"n", Type::kInt64},     {"x", Type::kFloat64}, {"small", Type::kInt32}, {"s", Type::kString},       {"zh", Type::kString},
                {"b", Type::kBool},      {"ts", Type::kTimestamp, "America/New_York"},   {"tags", Type::kListString}, {"big", Type::kInt64},
                {"odd name", Type::kInt64}};
  std::vector<Column> c;
  c.push_back(testing::integers({7}));
  c.push_back(testing::doubles({2.5}));
  c.emplace_back(Type::kInt32), c.back().append(int32_t{-3});
  c.push_back(testing::strings({"Hello World"}));
  c.push_back(testing::strings({"我爱北京"}));
  c.emplace_back(Type::kBool), c.back().append(uint8_t{1});
  c.push_back(testing::timestamps({1730611800 * kSecond}));  // 2024-11-03 05:30 UTC: 01:30 in New York, before the clock goes back
  c.push_back(testing::token_lists({{"a", "b"}}));
  c.push_back(testing::integers({INT64_MAX}));
  c.push_back(testing::integers({1}));
  for (auto& column : c) column.append_null();
  return Batch(schema, std::move(c));
}

// The value of row 0 (or 1) as text.
std::string value(const std::string& text, int64_t row = 0) {
  Batch batch = rows();
  Expression e(text, batch.schema());
  Column c = e.evaluate(batch);
  EXPECT_EQ(c.size(), 2);
  EXPECT_EQ(c.type(), e.type());
  if (!c.is_valid(row)) return "null";
  switch (c.type()) {
    case Type::kBool: return c.as_int64(row) ? "true" : "false";
    case Type::kString: return std::string(c.string(row));
    case Type::kFloat64: return fmt::format("{}", c.as_double(row));
    case Type::kTimestamp: return TimeZone("America/New_York").format(c.as_int64(row));
    case Type::kListString: return fmt::format("list of {}", c.list_size(row));
    default: return std::to_string(c.as_int64(row));
  }
}

void expect(const std::vector<std::pair<const char*, const char*>>& cases, int64_t row = 0) {
  for (const auto& [text, expected] : cases) EXPECT_EQ(value(text, row), expected) << text;
}

Error error_of(const std::string& text) {
  try {
    value(text);
  } catch (const Error& e) {
    return e;
  }
  return Error(Fault::kBug, "`" + text + "` was accepted");
}

TEST(Expression, Precedence) {
  expect({{"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"10 - 4 - 3", "3"}, {"2 * 6 / 4", "3"}, {"7 // 2 * 2", "6"}, {"-2 * -3", "6"},
          {"-7 // 2", "-3"}, {"-7 % 4", "-3"}, {"7 % -1", "0"}, {"2 - -1", "3"}, {"n-1", "6"}, {"1e-1*10", "1"}, {"7 / 2", "3.5"}, {"7.5 % 2", "1.5"},
          {"true or false and false", "true"}, {"not true or true", "true"}, {"not n = 7 or b", "true"}, {"! (n == 8)", "true"},
          {"1 + 1 = 2 && 3 > 2 || false", "true"}, {"n between 1 + 1 and 3 + 4 and b", "true"}, {"(n in (1, 7)) = false or true", "true"}});
}

TEST(Expression, ColumnsOfEveryType) {
  expect({{"n", "7"}, {"x * 2", "5"}, {"small + 1", "-2"}, {"s", "Hello World"}, {"b", "true"}, {"tags", "list of 2"}, {"`odd name` + 1", "2"},
          {"n > x", "true"}, {"small < 0", "true"}, {"big = 9223372036854775807", "true"}, {"`n`", "7"}, {"length(tags)", "2"},
          {"tags is not null", "true"}, {"'it''s'", "it's"}, {"\"say \"\"hi\"\"\"", "say \"hi\""}});
}

TEST(Expression, NullsFollowThreeValuedLogic) {
  expect({{"n = 7", "null"}, {"n + 1", "null"}, {"not b", "null"}, {"-n", "null"}, {"b and true", "null"}, {"b and false", "false"},
          {"b or true", "true"}, {"b or false", "null"}, {"b and b", "null"}, {"n is null", "true"}, {"n is not null", "false"},
          {"n in (1, 2)", "null"}, {"n between 1 and 9", "null"}, {"coalesce(n, small, 5)", "5"},
          {"coalesce(n, 2.5)", "2.5"}, {"if(b, 1, 2)", "2"}, {"case when b then 'yes' else 'no' end", "no"}, {"case when b then 1 end", "null"},
          {"lower(s)", "null"}, {"concat(s, 'x')", "null"}, {"s + 'x'", "null"}, {"greatest(n, 3)", "3"}, {"least(n, small)", "null"}}, 1);
  expect({{"1 in (2, null)", "null"}, {"1 in (1, null)", "true"}, {"1 not in (2, null)", "null"}, {"1 not in (1, null)", "false"},
          {"null = null", "null"}, {"null is null", "true"}, {"null is not null", "false"}, {"1 + null", "null"}, {"x + null", "null"},
          {"ts + null", "null"}, {"not null", "null"}, {"null and false", "false"}, {"case when n > 5 then null else 'x' end", "null"},
          // x between a and b is x >= a and x <= b
          {"5 between null and 3", "false"}, {"5 between 9 and null", "false"}, {"5 between null and 9", "null"}, {"5 not between null and 3", "true"}});
}

TEST(Expression, FiltersTakeNullForFalse) {
  Batch batch = rows();
  EXPECT_EQ(Expression("n > 1", batch.schema()).evaluate_filter(batch), (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(Expression("not (n > 1)", batch.schema()).evaluate_filter(batch), (std::vector<uint8_t>{0, 0}));
  EXPECT_EQ(Expression("1 = 1", batch.schema()).evaluate_filter(batch), (std::vector<uint8_t>{1, 1}));
  EXPECT_EQ(Expression("true", batch.schema()).evaluate_filter(batch), (std::vector<uint8_t>{1, 1}));
}

TEST(Expression, CaseTakesTheFirstTrueBranch) {
  expect({{"case when n > 100 then 'a' when n > 5 then 'b' when n > 1 then 'c' else 'd' end", "b"}, {"case when n > 9 then 1 else 2.5 end", "2.5"},
          {"case when b then 1 else 2.5 end", "1"}, {"if(n in (1, 7), upper(s), s)", "HELLO WORLD"}, {"CASE WHEN b THEN 1 END", "1"}});
}

TEST(Expression, Texts) {
  expect({{"length(zh)", "4"}, {"substr(zh, 3, 2)", "北京"}, {"substr(zh, 3)", "北京"}, {"substr(s, 0, 3)", "He"}, {"substr(s, 100)", ""},
          {"substr(s, 2, 9000000000000000000)", "ello World"}, {"substr(s, 1, 1e300)", "Hello World"}, {"contains(zh, '爱北')", "true"},
          {"starts_with(s, 'Hello')", "true"}, {"ends_with(zh, '京')", "true"}, {"replace(zh, '北京', '上海')", "我爱上海"}, {"replace(s, '', 'x')", "Hello World"},
          {"replace('aaa', 'aa', 'b')", "ba"}, {"split_part('a,b,,c', ',', 2)", "b"}, {"split_part('a,b,,c', ',', 3)", ""}, {"split_part('a,b', ',', 3)", ""},
          {"split_part('a,b', ',', 0)", ""}, {"split_part('abc', '', 1)", "abc"}, {"trim('  a b\t')", "a b"}, {"lower('ÄÖ')", "äö"}, {"s + '!'", "Hello World!"},
          {"concat(zh, '-', s)", "我爱北京-Hello World"}, {"zh = '我爱北京'", "true"}, {"'a' < 'b'", "true"}, {"'中' in ('国', '中')", "true"}, {"greatest('a', 'c', 'b')", "c"},
          {"least('b', 'a')", "a"}});
}

TEST(Expression, Conversions) {
  expect({{"int('42')", "42"}, {"int('4.2')", "null"}, {"int('')", "null"}, {"int(-2.9)", "-2"}, {"int(1e30)", "null"}, {"int(b)", "1"}, {"float('2.5')", "2.5"},
          {"float('x')", "null"}, {"string(7)", "7"}, {"string(2.5)", "2.5"}, {"string(b)", "true"}, {"string(ts)", "2024-11-03T01:30:00-04:00"},
          {"timestamp('2024-07-01 12:00')", "2024-07-01T12:00:00-04:00"}, {"timestamp('soon')", "null"}, {"timestamp(1730611800) = ts", "true"},
          {"float(null)", "null"}, {"round(2.5)", "3"}, {"round(-2.5)", "-3"}, {"sqrt(-1)", "null"}, {"log(0)", "null"}, {"abs(small)", "3"},
          {"floor(-0.5)", "-1"}, {"pow(2, 10)", "1024"}, {"exp(1000)", "null"}});
}

TEST(Expression, WholeNumbersAreExact) {
  expect({{"big - 1", "9223372036854775806"}, {"greatest(big - 1, big)", "9223372036854775807"}, {"greatest(big, big - 1)", "9223372036854775807"},
          {"least(big, big - 1)", "9223372036854775806"}, {"big > big - 1", "true"}, {"coalesce(big, 1)", "9223372036854775807"}, {"if(b, big, 1)", "9223372036854775807"}});
}

TEST(Expression, OverflowIsADataErrorAndDivisionByZeroIsNull) {
  for (const char* text : {"big + 1", "-big - 2", "big * 2", "(-big - 1) // -1", "-(-big - 1)", "abs(-big - 1)", "ts + 1e300", "ts + big", "ts - 1e18"}) {
    Error e = error_of(text);
    EXPECT_EQ(e.fault(), Fault::kData) << text << ": " << e.message();
  }
  expect({{"n / 0", "null"}, {"n // 0", "null"}, {"n % 0", "null"}, {"x / 0", "null"}, {"x % 0.0", "null"}, {"(-big - 1) % -1", "0"}});
}

TEST(Expression, TimesInTheColumnsZone) {
  // 01:30 EDT; an hour later it is 01:30 again, EST.
  expect({{"hour(ts)", "1"}, {"hour(ts + 3600)", "1"}, {"hour(ts + 7200)", "2"}, {"minute(ts)", "30"}, {"day(ts)", "3"}, {"month(ts)", "11"}, {"year(ts)", "2024"},
          {"weekday(ts)", "7"}, {"ts + 3600", "2024-11-03T01:30:00-05:00"}, {"date_trunc('hour', ts + 3600)", "2024-11-03T01:00:00-05:00"},
          {"date_trunc('day', ts)", "2024-11-03T00:00:00-04:00"}, {"date_trunc('day', ts + 86400)", "2024-11-04T00:00:00-05:00"},
          {"date_trunc('week', ts)", "2024-10-28T00:00:00-04:00"}, {"date_trunc('month', ts)", "2024-11-01T00:00:00-04:00"},
          {"date_trunc('year', ts)", "2024-01-01T00:00:00-05:00"}, {"epoch(ts)", "1730611800"}, {"ts - timestamp('2024-11-03')", "5400"},
          {"ts > '2024-11-03'", "true"}, {"ts < '2024-11-03T05:30:01Z'", "true"}, {"'2024-11-03T05:30:00Z' = ts", "true"},
          {"ts between '2024-11-03' and '2024-11-03 02:00'", "true"}, {"ts in ('2024-11-03T05:30:00Z')", "true"},
          {"format_time(ts, '%Y/%m/%d %H')", "2024/11/03 01"}, {"ts + 0.5", "2024-11-03T01:30:00.5-04:00"}});
}

TEST(Expression, TimesInZonesThatAreNamedAndCalendarArithmetic) {
  expect({{"hour(ts, 'UTC')", "5"}, {"hour(ts, 'Asia/Shanghai')", "13"}, {"second(ts)", "0"}, {"day_of_year(ts)", "308"}, {"date_trunc('quarter', ts)", "2024-10-01T00:00:00-04:00"},
          {"date_trunc('day', ts, 'Asia/Shanghai')", "2024-11-02T12:00:00-04:00"}, {"date_trunc('minute', ts)", "2024-11-03T01:30:00-04:00"},
          {"format_time(ts, '%H:%M', 'Asia/Shanghai')", "13:30"}, {"parse_time('03.11.2024', '%d.%m.%Y')", "2024-11-03T00:00:00-04:00"}, {"parse_time('x', '%Y')", "null"},
          {"parse_time('2024-11-03 13:30', '%Y-%m-%d %H:%M', 'Asia/Shanghai') = ts", "true"},
          // Starts of a unit between two times.
          {"date_diff('day', ts, timestamp('2024-11-04 00:10'))", "1"}, {"date_diff('day', timestamp('2024-11-04 00:10'), ts)", "-1"}, {"date_diff('hour', timestamp('2024-11-03'), ts + 3600)", "2"},
          {"date_diff('week', timestamp('2024-11-03'), timestamp('2024-11-04'))", "1"}, {"date_diff('week', timestamp('2024-11-04'), timestamp('2024-11-10'))", "0"},
          {"date_diff('month', timestamp('2024-01-31'), timestamp('2025-02-01'))", "13"}, {"date_diff('quarter', timestamp('2024-03-31'), timestamp('2024-04-01'))", "1"},
          {"date_diff('year', timestamp('2023-12-31'), timestamp('2024-01-01'))", "1"},
          // By the calendar: a day over the change of clocks has 25 hours.
          {"date_add('day', 1, ts)", "2024-11-04T01:30:00-05:00"}, {"date_add('hour', 24, ts)", "2024-11-04T00:30:00-05:00"}, {"date_add('month', 1, timestamp('2024-01-31'))", "2024-02-29T00:00:00-05:00"},
          {"date_add('month', -11, timestamp('2024-01-31'))", "2023-02-28T00:00:00-05:00"}, {"date_add('year', 1, timestamp('2024-02-29'))", "2025-02-28T00:00:00-05:00"},
          {"date_add('quarter', 2, timestamp('2024-08-31'))", "2025-02-28T00:00:00-05:00"}, {"date_add('week', -1, timestamp('2024-01-03'))", "2023-12-27T00:00:00-05:00"}});
}

// UTC with a constant unit goes another way than other zones; both must agree.
TEST(Expression, TruncationInUtcIsTheGeneralOne) {
  Schema schema{{"ts", Type::kTimestamp}, {"unit", Type::kString}};
  for (const char* unit : {"second", "minute", "hour", "day", "week", "month", "quarter", "year"}) {
    std::vector<Column> c;
    c.emplace_back(Type::kTimestamp), c.emplace_back(Type::kString);
    for (int64_t us : {int64_t{0}, int64_t{-1}, int64_t{1}, 1730611800 * kSecond + 7, -1730611800 * kSecond - 7, 4 * 86400 * kSecond, 4 * 86400 * kSecond - 1}) c[0].append(us), c[1].append_string(unit);
    c[0].append_null(), c[1].append_string(unit);
    Batch batch(schema, std::move(c));
    Column fast = Expression(fmt::format("date_trunc('{}', ts)", unit), schema).evaluate(batch), general = Expression("date_trunc(unit, ts, 'UTC')", schema).evaluate(batch);
    ASSERT_EQ(fast.content_hash(), general.content_hash()) << unit;
  }
}

TEST(Expression, PatternsAndCasts) {
  expect({{"s like 'Hello%'", "true"}, {"s like '%World'", "true"}, {"s like 'Hello'", "false"}, {"s not like 'x%'", "true"}, {"zh like '我_北_'", "true"}, {"zh like '_'", "false"},
          {"s like '%l%l%d'", "true"}, {"s like '%l%x%d'", "false"}, {"'50%' like '50\\%'", "true"}, {"'500' like '50\\%'", "false"}, {"'' like '%'", "true"}, {"s ilike 'hello w%'", "true"},
          {"matches(s, 'W[a-z]+$')", "true"}, {"matches(zh, '北.')", "true"}, {"matches(s, '^World')", "false"}, {"regexp_extract(s, '(\\w+) (\\w+)', 2)", "World"}, {"regexp_extract(s, 'o.')", "o "},
          {"regexp_extract(s, 'zzz')", "null"}, {"regexp_extract(s, 'H(x)?', 1)", "null"}, {"regexp_replace(s, '(o)', '<\\1>')", "Hell<o> W<o>rld"}, {"repeat('ab', 3)", "ababab"}, {"repeat('ab', -1)", ""},
          {"element(tags, 1)", "a"}, {"element(tags, -1)", "b"}, {"element(tags, 3)", "null"}, {"list_contains(tags, 'b')", "true"}, {"list_join(tags, '+')", "a+b"},
          {"cast('42' as int)", "42"}, {"cast(x as int)", "2"}, {"cast(n as string)", "7"}, {"cast('true' as bool)", "true"}, {"bool('maybe')", "null"}, {"bool(0)", "false"}, {"try_cast('x' as int)", "null"},
          {"cast('2024-07-01' as timestamp)", "2024-07-01T00:00:00-04:00"}, {"cast(null as int)", "null"}, {"nullif(n, 7)", "null"}, {"nullif(n, 8)", "7"}, {"nullif('a', 'b')", "a"}, {"nullif(x, 2.5)", "null"},
          {"sign(small)", "-1"}, {"log2(8)", "3"}, {"log10(1000)", "3"}, {"if(null, 1, 2)", "2"}});
  expect({{"s like '%'", "null"}, {"nullif(n, 7)", "null"}}, 1);
  EXPECT_EQ(error_of("cast(s as int)").fault(), Fault::kData);
  EXPECT_THAT(error_of("cast(s as int)").message(), HasSubstr("'Hello World' is no int"));
  for (auto [text, message] : std::vector<std::pair<const char*, const char*>>{{"matches(s, '(')", "is no regular expression"}, {"cast(s as money)", "cast to 'money'"}, {"date_trunc('fortnight', ts)", "unknown unit 'fortnight'"},
                                                                               {"hour(ts, 'Mars/Base')", "Mars/Base"}, {"date_diff('dy', ts, ts)", "unknown unit 'dy'"}}) {
    EXPECT_EQ(error_of(text).fault(), Fault::kJob) << text;
    EXPECT_THAT(error_of(text).text(), HasSubstr(message)) << text;
  }
}

TEST(Expression, LongChainsEndWithAnErrorNotTheStack) {
  std::string chain = "n";
  for (int i = 0; i < 100'000; ++i) chain += " + n";
  EXPECT_THAT(error_of(chain).message(), HasSubstr("nested too deeply"));
}

TEST(Expression, FaultsNameTheCharacterAndSuggest) {
  struct Case {
    const char *text, *message, *hint;
  };
  for (const Case& c : std::vector<Case>{{"n > ", "character 5: ends where a value was expected", ""},
                                         {"n >> 1", "character 4: '>' is not expected here", ""},
                                         {"(n + 1", "character 7: expected ')' before 'end'", ""},
                                         {"valu > 1", "character 1: no column 'valu'", "known: n, x"},
                                         {"n = 1 and smal = 2", "character 11: no column 'smal'", "did you mean 'small'?"},
                                         {"'中文' = zhh", "character 8: no column 'zhh'", "did you mean 'zh'?"},
                                         {"lowr(s) = 'x'", "character 1: unknown function 'lowr'", "did you mean 'lower'?"},
                                         {"n = 'seven'", "character 3: '==' between int64 and string", "convert one side"},
                                         {"n and b", "character 1: 'and' of a int64; expected a condition", ""},
                                         {"s * 2", "character 3: '*' between string and int64", ""},
                                         {"n = 'open", "character 5: a quote that is not closed", ""},
                                         {"n ; 1", "character 3: unexpected character ';'", ""},
                                         {"1.2.3", "character 1: '1.2.3' is not a number", ""},
                                         {"n 5", "character 3: '5' is not expected here", ""},
                                         {"ts > 'soon'", "character 6: 'soon' is not a time", "for example"},
                                         {"length(n)", "character 1: length(int64) does not fit", "expected length("},
                                         {"case n end", "character 1: case without when", ""},
                                         {"x // 2", "character 3: '//' needs whole numbers", ""},
                                         {"", "character 1: ends where a value was expected", ""}}) {
    Error e = error_of(c.text);
    EXPECT_EQ(e.fault(), Fault::kJob) << c.text;
    EXPECT_THAT(e.message(), HasSubstr(c.message)) << c.text;
    EXPECT_THAT(e.hint(), HasSubstr(c.hint)) << c.text;
  }
  EXPECT_EQ(error_of("null").fault(), Fault::kJob);
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "(";
  EXPECT_EQ(error_of(deep + "1").fault(), Fault::kJob);
}

TEST(Expression, ListsThatStandForEachOtherAreRefused) {
  for (const char* text : {"if(b, tags, tags)", "coalesce(tags, tags)", "greatest(tags, tags)", "tags = tags", "int(tags)", "string(tags)", "tags in (tags)"})
    EXPECT_EQ(error_of(text).fault(), Fault::kJob) << text;
}

TEST(Expression, NamesTheColumnsItReads) {
  Expression e("n + x > 1 and lower(s) = 'n' or `odd name` in (n)", rows().schema());
  EXPECT_EQ(e.columns(), (std::vector<std::string>{"n", "x", "s", "odd name"}));
  Batch none = Batch::empty(rows().schema());
  EXPECT_EQ(e.evaluate(none).size(), 0);
}

// Rows go through an expression some thousand at a time; nobody sees where one ends.
TEST(Expression, RowsDoNotDependOnWhatIsBesideThem) {
  constexpr int64_t kRows = 5000;
  const Schema schema{{"n", Type::kInt64}, {"i", Type::kInt32}, {"f", Type::kFloat32}, {"d", Type::kFloat64}, {"b", Type::kBool}, {"ts", Type::kTimestamp}, {"s", Type::kString}, {"tags", Type::kListString}};
  Random random(8, 0, 0);
  std::vector<Column> c;
  for (const auto& f : schema.fields()) c.emplace_back(f.type);
  for (int64_t r = 0; r < kRows; ++r) {
    const auto v = int64_t(random.below(2000)) - 1000;
    for (size_t k = 0; k < c.size(); ++k) {
      // No null in the second thousand rows, and only nulls near row 4096.
      if ((r / 1000 != 1 && random.below(4) == 0) || r / 64 == 64) c[k].append_null();
      else if (k == 0 || k == 5) c[k].append(v * 1'000'003);
      else if (k == 1) c[k].append(int32_t(v));
      else if (k == 2) c[k].append(float(v) / 8);
      else if (k == 3) c[k].append(double(v) / 3);
      else if (k == 4) c[k].append(uint8_t(v > 0));
      else if (k == 6) c[k].append_string(std::string(size_t(v & 7), char('a' + (v & 15))));
      else {
        for (int64_t i = 0; i < (v & 3); ++i) c[k].add_list_string(std::to_string(v + i));
        c[k].end_list();
      }
    }
  }
  const Batch batch(schema, std::move(c));
  for (const char* text : {"n", "i", "f", "d", "b", "ts", "s", "tags", "i + n", "f * d", "ts - ts", "ts + i", "-i", "not b", "b and i > 0", "b or d < 1", "n is null", "s is not null", "i in (1, 2, n)",
                           "i between -5 and d", "round(d)", "int(d)", "if(b, i, n)", "if(not b, d, f)", "if(i > 3, s, 'none')", "coalesce(s, string(i))", "upper(s)", "s < 'c'", "length(tags)", "list_join(tags, '+')",
                           "list_contains(tags, string(i))", "date_trunc('day', ts)", "case when i > 5 then s when b then 'b' end", "7", "'text'", "float(null)"}) {
    const Expression e(text, schema);
    const Column whole = e.evaluate(batch);
    ASSERT_EQ(whole.size(), kRows) << text;
    Column parts(whole.type());
    for (int64_t first = 0, n = 1; first < kRows; first += n, n = std::min<int64_t>(n % 700 + 41, kRows - first)) parts.append_slice(e.evaluate(batch.slice(first, n)), 0, n);
    EXPECT_TRUE(testing::same(parts, whole)) << text;
    if (is_fixed(whole.type())) {
      EXPECT_EQ(parts.bytes(), whole.bytes()) << text << ": a null row holds zero";
    }
  }
}

// Each value of a key, coded or not, is the expression's.
TEST(Expression, KeysAreItsValues) {
  const Schema schema{{"ts", Type::kTimestamp}, {"k", Type::kInt32}, {"b", Type::kBool}, {"x", Type::kFloat32}};
  constexpr int64_t kDay = 86'400 * kSecond;
  for (bool nulls : {false, true})
    for (int64_t spread : {int64_t{5}, 3 * kDay, 90'000 * kDay})
      for (int64_t n : {0, 1, 700}) {
        Random random(uint64_t(n), uint64_t(spread), nulls);
        std::vector<Column> c;
        for (const auto& f : schema.fields()) c.emplace_back(f.type);
        for (int64_t r = 0; r < n; ++r) {
          const auto v = int64_t(random.below(uint64_t(spread))) - spread / 2;
          if (nulls && random.below(5) == 0) {
            for (auto& column : c) column.append_null();
          } else {
            c[0].append(v), c[1].append(int32_t(v % 7)), c[2].append(uint8_t(v & 1)), c[3].append(float(v % 5));
          }
        }
        const Batch batch(schema, std::move(c));
        std::vector<int64_t> all(static_cast<size_t>(n));
        std::iota(all.begin(), all.end(), 0);
        for (const char* text : {"date_trunc('day', ts)", "date_trunc('week', ts)", "date_trunc('second', ts)", "date_trunc('month', ts)", "date_trunc('hour', ts, 'Asia/Kolkata')",
                                 "date_trunc('day', ts + k)", "ts", "k", "b", "x", "k + 1", "not b", "x * 2", "-x", "'text'", "1", "1.5", "true", "k is null"}) {
          const Expression e(text, schema);
          const Column values = e.evaluate(batch);
          const GroupKey key = e.evaluate_key(batch);
          ASSERT_TRUE(testing::same(key.take(all), values)) << text << " of " << n;
          EXPECT_EQ(values.size(), n);
          for (int64_t r = 0; r < n; ++r) {  // equal columns have equal bytes
            if (values.is_valid(r) || !is_fixed(values.type())) continue;
            EXPECT_EQ(values.take(std::vector<int64_t>{r}).bytes(), Buffer(value_bytes(values.type()), std::byte{0})) << text;
          }
          if (n < 700 || spread > 3 * kDay) continue;
          EXPECT_EQ(key.coded, std::string(text) == "date_trunc('day', ts)" || std::string(text) == "date_trunc('week', ts)" || std::string(text) == "date_trunc('day', ts + k)" ||
                                   (spread == 5 && std::string(text) == "date_trunc('second', ts)"))
              << text;
        }
      }
}

}  // namespace
}  // namespace throng::data
