// Operators and functions that work on all rows at once, against one row at a time by SQL's rules.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>

#include "framework/base/random.h"
#include "framework/data/expression.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {

using Number = std::optional<double>;
using Truth = std::optional<bool>;

constexpr int64_t kRows = 600;

// Columns of every type of number, with and without nulls; floats with NaN, infinity and both zeros.
Batch rows() {
  Random random(5, 0, 0);
  Schema schema;
  std::vector<Column> columns;
  for (bool nulls : {false, true})
    for (Type type : {Type::kInt32, Type::kInt64, Type::kFloat32, Type::kFloat64, Type::kBool, Type::kTimestamp}) {
      Column c(type);
      for (int64_t r = 0; r < kRows; ++r) {
        const auto v = int64_t(random.below(9)) - 4;
        const double special = v == 3 ? NAN : v == 2 ? -INFINITY : v == 0 ? -0.0 : double(v) / 2;
        if (nulls && random.below(3) == 0) c.append_null();
        else if (type == Type::kInt32) c.append(int32_t(v));
        else if (type == Type::kFloat32) c.append(float(special));
        else if (type == Type::kFloat64) c.append(special);
        else if (type == Type::kBool) c.append(uint8_t(v > 0));
        else c.append(v);
      }
      schema.add({fmt::format("{}{}", type == Type::kInt32 ? "i" : type == Type::kInt64 ? "l" : type == Type::kFloat32 ? "f" : type == Type::kFloat64 ? "d" : type == Type::kBool ? "b" : "t", nulls ? 1 : 0), type});
      columns.push_back(std::move(c));
    }
  return Batch(schema, std::move(columns));
}

Number at(const Column& c, int64_t r) { return c.is_valid(r) ? Number(c.as_double(r)) : std::nullopt; }
Truth truth_at(const Column& c, int64_t r) { return c.is_valid(r) ? Truth(c.as_int64(r) != 0) : std::nullopt; }

bool same(Number a, Number b) { return a.has_value() == b.has_value() && (!a || *a == *b || (std::isnan(*a) && std::isnan(*b))); }

// Evaluates on all rows, and on none.
Column evaluate(const Batch& batch, const std::string& text) {
  const Expression e(text, batch.schema());
  EXPECT_EQ(e.evaluate(Batch::empty(batch.schema())).size(), 0) << text;
  return e.evaluate(batch);
}

// x op y for any two columns, and for a column and a constant on either side.
void for_pairs(const std::vector<std::string>& names, const std::string& op, const std::function<Number(Number, Number)>& wanted) {
  const Batch batch = rows();
  auto check = [&](const std::string& a, const std::string& b, const std::function<Number(int64_t)>& x, const std::function<Number(int64_t)>& y) {
    const Column c = evaluate(batch, a + " " + op + " " + b);
    for (int64_t r = 0; r < kRows; ++r) {
      const Number value = wanted(x(r), y(r));
      ASSERT_TRUE(same(at(c, r), value)) << a << " " << op << " " << b << " row " << r << ": " << at(c, r).value_or(-99) << ", expected " << value.value_or(-99);
    }
  };
  for (const auto& a : names) {
    auto x = [&](int64_t r) { return at(batch.column(a), r); };
    for (const auto& b : names) check(a, b, x, [&](int64_t r) { return at(batch.column(b), r); });
    for (int k : {-1, 0, 2}) {
      auto constant = [&](int64_t) { return Number(k); };
      check(a, std::to_string(k), x, constant);
      check(std::to_string(k), a, constant, x);
    }
    check(a, "null", x, [](int64_t) { return Number(); });
  }
}

int three_way(double x, double y) {
  if (std::isnan(x) || std::isnan(y)) return int(std::isnan(x)) - int(std::isnan(y));
  return x < y ? -1 : x > y;
}

TEST(ExpressionOperators, Compare) {
  const std::pair<const char*, bool (*)(int)> ops[] = {{"==", [](int k) { return k == 0; }}, {"!=", [](int k) { return k != 0; }}, {"<", [](int k) { return k < 0; }},
                                                       {"<=", [](int k) { return k <= 0; }}, {">", [](int k) { return k > 0; }},   {">=", [](int k) { return k >= 0; }}};
  for (const auto& [op, holds] : ops)
    for_pairs({"i0", "l1", "f0", "f1", "d0", "d1"}, op, [&](Number x, Number y) { return x && y ? Number(holds(three_way(*x, *y))) : std::nullopt; });
}

TEST(ExpressionOperators, Arithmetic) {
  auto both = [](auto value) { return [value](Number x, Number y) -> Number { return x && y ? value(*x, *y) : std::nullopt; }; };
  const std::vector<std::string> all{"i0", "i1", "l0", "l1", "f0", "f1", "d1"}, whole{"i0", "i1", "l0", "l1"};
  for_pairs(all, "+", both([](double x, double y) { return Number(x + y); }));
  for_pairs(all, "-", both([](double x, double y) { return Number(x - y); }));
  for_pairs(all, "*", both([](double x, double y) { return Number(x * y); }));
  for_pairs(all, "/", both([](double x, double y) { return y == 0 ? Number() : Number(x / y); }));
  for_pairs(all, "%", both([](double x, double y) { return y == 0 ? Number() : Number(std::fmod(x, y)); }));
  for_pairs(whole, "//", both([](double x, double y) { return y == 0 ? Number() : Number(std::trunc(x / y)); }));
}

TEST(ExpressionOperators, TimesApart) {
  const Batch batch = rows();
  const Column c = evaluate(batch, "t1 - t0"), e = evaluate(batch, "epoch(t1)"), later = evaluate(batch, "t1 + i1"), earlier = evaluate(batch, "t1 - if(abs(d1) < 100, d1, null)");
  for (int64_t r = 0; r < kRows; ++r) {
    const Number x = at(batch.column("t1"), r), y = at(batch.column("t0"), r);
    ASSERT_TRUE(same(at(c, r), x ? Number((*x - *y) / 1e6) : std::nullopt));
    ASSERT_TRUE(same(at(e, r), x ? Number(*x / 1e6) : std::nullopt));
    const Number d = at(batch.column("d1"), r), i = at(batch.column("i1"), r);
    ASSERT_TRUE(same(at(later, r), x && i ? Number(*x + *i * 1e6) : std::nullopt));
    ASSERT_TRUE(same(at(earlier, r), x && d && std::isfinite(*d) ? Number(*x - *d * 1e6) : std::nullopt));
  }
}

TEST(ExpressionOperators, Logic) {
  const Batch batch = rows();
  auto conjunction = [](Truth x, Truth y) { return (x && !*x) || (y && !*y) ? Truth(false) : x && y ? Truth(true) : std::nullopt; };
  auto disjunction = [](Truth x, Truth y) { return (x && *x) || (y && *y) ? Truth(true) : x && y ? Truth(false) : std::nullopt; };
  for (const std::string a : {"b0", "b1"})
    for (const std::string b : {"b0", "b1", "true", "false", "bool(null)"}) {
      auto value = [&](const std::string& name, int64_t r) { return name == "true" ? Truth(true) : name == "false" ? Truth(false) : name == "bool(null)" ? Truth() : truth_at(batch.column(name), r); };
      for (bool turned : {false, true}) {
        const std::string x = turned ? b : a, y = turned ? a : b;
        const Column both = evaluate(batch, x + " and " + y), either = evaluate(batch, x + " or " + y), neither = evaluate(batch, "not " + a), missing = evaluate(batch, a + " is null");
        for (int64_t r = 0; r < kRows; ++r) {
          ASSERT_EQ(truth_at(both, r), conjunction(value(x, r), value(y, r))) << x << " and " << y;
          ASSERT_EQ(truth_at(either, r), disjunction(value(x, r), value(y, r))) << x << " or " << y;
          ASSERT_EQ(truth_at(neither, r), value(a, r) ? Truth(!*value(a, r)) : std::nullopt);
          ASSERT_EQ(truth_at(missing, r), Truth(!value(a, r)));
        }
      }
    }
}

TEST(ExpressionOperators, IfTakesOneOfBoth) {
  const Batch batch = rows();
  for (const std::string condition : {"b0", "b1", "true", "bool(null)"})
    for (const std::string a : {"i0", "l1", "f1", "d0", "7", "1.5", "null"})
      for (const std::string b : {"i1", "l0", "f0", "d1", "-2", "null"}) {
        if (a == "null" && b == "null") continue;
        const Column c = evaluate(batch, fmt::format("if({}, {}, {})", condition, a, b));
        auto value = [&](const std::string& name, int64_t r) { return batch.schema().has(name) ? at(batch.column(name), r) : name == "null" ? Number() : Number(std::stod(name)); };
        for (int64_t r = 0; r < kRows; ++r) {
          const bool first = condition == "true" || (condition[0] == 'b' && batch.schema().has(condition) && truth_at(batch.column(condition), r).value_or(false));
          ASSERT_TRUE(same(at(c, r), value(first ? a : b, r))) << condition << " " << a << " " << b << " row " << r;
        }
      }
  EXPECT_EQ(evaluate(batch, "if(b0, 'yes', 'no')").string(0), batch.column("b0").as_int64(0) ? "yes" : "no");
}

TEST(ExpressionOperators, FunctionsOfOneNumber) {
  const Batch batch = rows();
  const std::pair<const char*, double (*)(double)> functions[] = {{"floor", std::floor}, {"ceil", std::ceil}, {"round", std::round}, {"sqrt", std::sqrt}, {"log", std::log}, {"exp", std::exp}};
  for (const std::string name : {"i0", "l1", "f0", "d1"}) {
    const Column whole = evaluate(batch, fmt::format("int({})", name));
    for (int64_t r = 0; r < kRows; ++r) {
      const Number x = at(batch.column(name), r);
      ASSERT_TRUE(same(at(whole, r), x && std::isfinite(*x) ? Number(std::trunc(*x)) : std::nullopt)) << name;
    }
    for (const auto& [f, wanted] : functions) {
      const Column c = evaluate(batch, fmt::format("{}({})", f, name));
      for (int64_t r = 0; r < kRows; ++r) {
        const Number x = at(batch.column(name), r), y = x && std::isfinite(wanted(*x)) ? Number(wanted(*x)) : std::nullopt;
        ASSERT_TRUE(same(at(c, r), y)) << f << " of " << name;
      }
    }
  }
}

TEST(ExpressionOperators, WholeNumbersThatDoNotFit) {
  const Schema schema{{"x", Type::kInt64}};
  const Batch batch(schema, std::vector<Column>{testing::integers({1, INT64_MAX, INT64_MIN})});
  for (const char* text : {"x + 1", "x - 1", "x * 2", "x // -1", "-x", "cast(float(x) as int)"}) EXPECT_THROW(Expression(text, schema).evaluate(batch), Error) << text;
  Column nulls(Type::kInt64);
  nulls.append_null();
  const Batch null(schema, std::vector<Column>{nulls});
  EXPECT_FALSE(Expression("x + 9223372036854775807 + 1", schema).evaluate(null).is_valid(0));
  EXPECT_EQ(Expression("x % -1", schema).evaluate(batch).as_int64(2), 0);
}

}  // namespace
}  // namespace throng::data
