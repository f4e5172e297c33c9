// Values of a tree over the rows of a batch.
#include <cmath>

#include "framework/data/expression_node.h"

namespace throng::data {
namespace {
using Node = Expression::Node;
using Values = ExpressionValues;

Values from_column(ColumnPtr column) {
  Values v;
  const Column& c = *column;
  size_t n = size_t(c.size());
  v.valid = c.valid();
  v.type = is_integer(c.type()) ? Type::kInt64 : is_float(c.type()) ? Type::kFloat64 : c.type();
  if (!is_fixed(c.type())) {
    v.s = std::move(column);
    return v;
  }
  auto copy = [&](auto values, auto& into) { into.assign(values.begin(), values.end()); };
  switch (c.type()) {
    case Type::kBool: copy(c.values<uint8_t>(), v.i); break;
    case Type::kInt32: copy(c.values<int32_t>(), v.i); break;
    case Type::kFloat32: copy(c.values<float>(), v.f); break;
    case Type::kFloat64: v.f = ExpressionArray<double>::of(std::move(column)); break;
    default: v.i = ExpressionArray<int64_t>::of(std::move(column)); break;
  }
  THRONG_CHECK(v.i.size() + v.f.size() == n, "{} values of {}", v.i.size() + v.f.size(), n);
  return v;
}

// Rows where all arguments are valid; empty when every row is.
AlignedVector<uint8_t> both_valid(const Values& a, const Values& b, size_t n) {
  AlignedVector<uint8_t> valid;
  if (a.valid.empty() && b.valid.empty()) return valid;
  valid.resize(n);
  for (size_t r = 0; r < n; ++r) valid[r] = a.ok(r) && b.ok(r);
  return valid;
}

int compare_values(const Values& a, const Values& b, size_t r) {
  auto three_way = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.type == Type::kString) return three_way(a.text(r).compare(b.text(r)), 0);
  if (is_float(a.type) || is_float(b.type)) {
    double x = a.number(r), y = b.number(r);
    if (std::isnan(x) || std::isnan(y)) return int(std::isnan(x)) - int(std::isnan(y));
    return three_way(x, y);
  }
  return three_way(a.whole(r), b.whole(r));
}

bool holds(const std::string& op, int c) {
  if (op == "==") return c == 0;
  if (op == "!=") return c != 0;
  if (op == "<") return c < 0;
  if (op == "<=") return c <= 0;
  if (op == ">") return c > 0;
  return c >= 0;
}

Values logic(const std::string& op, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = Type::kBool;
  out.i.resize(n);
  AlignedVector<uint8_t> valid(n, 1);
  bool nulls = false, stop = op == "or";  // the value that decides alone
  for (size_t r = 0; r < n; ++r) {
    bool va = a.ok(r), vb = b.ok(r), xa = va && a.whole(r), xb = vb && b.whole(r);
    bool decided = (va && xa == stop) || (vb && xb == stop);
    out.i[r] = decided ? stop : !stop;
    if (!decided && !(va && vb)) valid[r] = 0, out.i[r] = 0, nulls = true;
  }
  if (nulls) out.valid = std::move(valid);
  return out;
}

Values arithmetic(const Node& node, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = node.type;
  out.valid = both_valid(a, b, n);
  auto make_null = [&](size_t r) {
    if (out.valid.empty()) out.valid.assign(n, 1);
    out.valid[r] = 0;
  };
  const char op = node.name == "//" ? 'd' : node.name[0];
  if (a.type == Type::kTimestamp && b.type == Type::kTimestamp) {
    out.f.resize(n);
    for (size_t r = 0; r < n; ++r) out.f[r] = double(a.whole(r) - b.whole(r)) / 1e6;
  } else if (a.type == Type::kTimestamp) {
    out.i.resize(n);
    for (size_t r = 0; r < n; ++r) {
      if (!out.valid.empty() && !out.valid[r]) {
        out.i[r] = 0;
        continue;
      }
      double shift = (op == '-' ? -1 : 1) * b.number(r) * 1e6;
      if (!(std::fabs(shift) < 9e18) || __builtin_add_overflow(a.whole(r), int64_t(std::llround(shift)), &out.i[r]))
        throw data_error("a time {} {} seconds is out of range", op, b.number(r));
    }
  } else if (out.type == Type::kFloat64) {
    out.f.resize(n);
    for (size_t r = 0; r < n; ++r) {
      double x = a.number(r), y = b.number(r);
      if ((op == '/' || op == '%') && y == 0) {
        make_null(r);
        out.f[r] = 0;
        continue;
      }
      out.f[r] = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : op == '/' ? x / y : std::fmod(x, y);
    }
  } else {
    out.i.resize(n);
    for (size_t r = 0; r < n; ++r) {
      int64_t x = a.whole(r), y = b.whole(r), z = 0;
      bool overflow = false;
      if (op == '+') overflow = __builtin_add_overflow(x, y, &z);
      if (op == '-') overflow = __builtin_sub_overflow(x, y, &z);
      if (op == '*') overflow = __builtin_mul_overflow(x, y, &z);
      if (op == 'd' || op == '%') {
        if (y == 0)
          make_null(r);
        else if (y == -1)
          overflow = op == 'd' && __builtin_sub_overflow(int64_t{0}, x, &z);
        else
          z = op == 'd' ? x / y : x % y;
      }
      if (overflow && (out.valid.empty() || out.valid[r])) throw data_error("{} {} {} does not fit a 64-bit whole number", x, node.name, y);
      out.i[r] = z;
    }
  }
  return out;
}

Values call(const Node& node, const std::vector<Values>& args, size_t n) {
  Values out;
  out.type = node.type;
  const auto& f = *node.function;
  std::vector<const Values*> pointers;
  for (const auto& a : args) pointers.push_back(&a);
  if (f.batch && f.batch(pointers, n, node.zone, out)) {
    for (const auto& a : args) {
      if (a.valid.empty()) continue;
      if (out.valid.empty()) out.valid.assign(n, 1);
      for (size_t r = 0; r < n; ++r) out.valid[r] &= uint8_t(a.ok(r));
    }
    for (size_t r = 0; r < out.valid.size(); ++r)
      if (!out.valid[r] && !out.i.empty()) out.i[r] = 0;  // a null row holds zero
    return out;
  }
  std::shared_ptr<Column> strings;
  if (node.type == Type::kString) strings = std::make_shared<Column>(Type::kString);
  else if (is_float(node.type)) out.f.resize(n);
  else out.i.resize(n);
  out.valid.assign(n, 1);
  bool nulls = false;
  ExpressionFunction::Row row;
  for (size_t r = 0; r < n; ++r) {
    bool ok = true;
    if (!f.sees_nulls)
      for (const auto& a : args) ok = ok && a.ok(r);
    const bool there = ok;
    ok = ok && f.compute(pointers, r, node.zone, row);
    if (node.strict && there && !ok)
      throw data_error("cast: '{}' is no {}", args[0].type == Type::kString ? std::string(args[0].text(r)) : std::to_string(args[0].number(r)), node.name).with_hint("try_cast gives null instead");
    nulls = nulls || !ok;
    out.valid[r] = ok;
    if (strings)
      ok ? strings->append_string(row.s) : strings->append_null();
    else if (is_float(node.type))
      out.f[r] = ok ? row.f : 0;
    else
      out.i[r] = ok ? row.i : 0;
  }
  if (!nulls) out.valid.clear();
  out.s = std::move(strings);
  return out;
}

}  // namespace

ExpressionValues evaluate_expression(const Node& node, const Batch& batch) {
  const size_t n = size_t(batch.num_rows());
  if (node.kind == Node::Kind::kLiteral) return node.literal;
  if (node.kind == Node::Kind::kColumn) {
    int i = batch.schema().find(node.name);
    THRONG_CHECK(i >= 0, "column '{}' was pruned away", node.name);
    return from_column(batch.column_ptr(size_t(i)));
  }
  std::vector<Values> args;
  for (const auto& a : node.args) args.push_back(evaluate_expression(*a, batch));
  Values out;
  out.type = node.type;
  switch (node.kind) {
    case Node::Kind::kUnary:
      out.valid = both_valid(args[0], args[0], n);
      if (is_float(node.type)) {
        out.f.resize(n);
        for (size_t r = 0; r < n; ++r) out.f[r] = -args[0].number(r);
      } else {
        out.i.resize(n);
        for (size_t r = 0; r < n; ++r) {
          int64_t x = args[0].whole(r);
          if (node.name == "-" && x == INT64_MIN) throw data_error("-({}) does not fit a 64-bit whole number", x);
          out.i[r] = node.name == "not" ? !x : -x;
        }
      }
      return out;
    case Node::Kind::kIsNull:
      out.i.resize(n);
      for (size_t r = 0; r < n; ++r) out.i[r] = !args[0].ok(r);
      return out;
    case Node::Kind::kIn: {
      out.i.resize(n);
      AlignedVector<uint8_t> valid(n, 1);
      bool nulls = false;
      for (size_t r = 0; r < n; ++r) {
        bool hit = false, unknown = !args[0].ok(r);
        if (node.name == "between") {
          bool outside = !unknown && ((args[1].ok(r) && compare_values(args[0], args[1], r) < 0) ||
                                      (args[2].ok(r) && compare_values(args[0], args[2], r) > 0));
          unknown = !outside && (unknown || !args[1].ok(r) || !args[2].ok(r));
          hit = !outside && !unknown;
        } else if (!unknown) {
          for (size_t k = 1; k < args.size() && !hit; ++k) {
            if (!args[k].ok(r)) unknown = true;
            else hit = compare_values(args[0], args[k], r) == 0;
          }
          unknown = unknown && !hit;
        }
        out.i[r] = hit;
        if (unknown) valid[r] = 0, nulls = true;
      }
      if (nulls) out.valid = std::move(valid);
      return out;
    }
    case Node::Kind::kCall: return call(node, args, n);
    default: break;
  }
  if (node.name == "and" || node.name == "or") return logic(node.name, args[0], args[1], n);
  if (node.type != Type::kBool) return arithmetic(node, args[0], args[1], n);
  out.valid = both_valid(args[0], args[1], n);
  out.i.resize(n);
  for (size_t r = 0; r < n; ++r)
    if (out.valid.empty() || out.valid[r]) out.i[r] = holds(node.name, compare_values(args[0], args[1], r));
    else out.i[r] = 0;
  return out;
}

std::optional<GroupKey> code_expression(const Node& node, const Batch& batch) {
  if (node.kind != Node::Kind::kCall || !node.function->codes) return {};
  std::vector<Values> args;
  std::vector<const Values*> pointers;
  for (const auto& a : node.args) args.push_back(evaluate_expression(*a, batch));
  for (const auto& a : args) pointers.push_back(&a);
  ExpressionCodes codes;
  const size_t n = size_t(batch.num_rows());
  if (!node.function->codes(pointers, n, node.zone, codes)) return {};
  Column values(node.type);
  for (int64_t v : codes.values) node.type == Type::kBool ? values.append(uint8_t(v)) : values.append(v);
  bool nulls = false;
  for (const auto& a : args)
    for (size_t r = 0; !a.valid.empty() && r < n; ++r)
      if (!a.ok(r)) codes.of_row[r] = uint32_t(codes.values.size()), nulls = true;
  if (nulls) values.append_null();
  return GroupKey{std::make_shared<Column>(std::move(values)), std::move(codes.of_row), true};
}

}  // namespace throng::data
