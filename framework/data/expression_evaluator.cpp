// Values of a tree over the rows of a batch.
#include "framework/data/expression_node.h"
#include "framework/data/expression_operators.h"
#include "framework/data/expression_rows.h"

namespace throng::data {
namespace {
using namespace expression;  // NOLINT: what operators make of values
using Node = Expression::Node;
using Values = ExpressionValues;

Values from_column(ColumnPtr column, size_t first, size_t n) {
  Values v;
  const Column& c = *column;
  v.type = is_integer(c.type()) ? Type::kInt64 : is_float(c.type()) ? Type::kFloat64 : c.type();
  if (!c.valid().empty()) {
    const uint8_t* valid = c.valid().data() + first;
    if (n > 0 && std::memchr(valid, 0, n)) v.valid.assign(valid, valid + n);
  }
  if (!is_fixed(c.type())) {
    v.s = std::move(column), v.first_string = first;
    return v;
  }
  auto copy = [&](auto values, auto& into) {
    const auto some = values.subspan(first, n);
    into.assign(some.begin(), some.end());
  };
  switch (c.type()) {
    case Type::kBool: copy(c.values<uint8_t>(), v.i); break;
    case Type::kInt32: copy(c.values<int32_t>(), v.i); break;
    case Type::kFloat32: copy(c.values<float>(), v.f); break;
    case Type::kFloat64: v.f = ExpressionArray<double>::of(std::move(column), first, n); break;
    default: v.i = ExpressionArray<int64_t>::of(std::move(column), first, n); break;
  }
  return v;
}

Values call(const Node& node, const std::vector<Values>& args, size_t n) {
  Values out;
  out.type = node.type;
  const auto& f = *node.function;
  std::vector<const Values*> pointers;
  for (const auto& a : args) pointers.push_back(&a);
  if (f.batch && !node.strict && f.batch(pointers, n, node.zone, out)) {
    if (f.sees_nulls) return out;
    for (const auto& a : args) keep_valid(a, n, out.valid);
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

ExpressionValues evaluate_expression(const Node& node, const Batch& batch, size_t first, size_t n) {
  if (node.kind == Node::Kind::kLiteral) return node.literal;
  if (node.kind == Node::Kind::kColumn) {
    int i = batch.schema().find(node.name);
    THRONG_CHECK(i >= 0, "column '{}' was pruned away", node.name);
    return from_column(batch.column_ptr(size_t(i)), first, n);
  }
  std::vector<Values> args;
  for (const auto& a : node.args) args.push_back(evaluate_expression(*a, batch, first, n));
  Values out;
  out.type = node.type;
  switch (node.kind) {
    case Node::Kind::kUnary: return unary(node, args[0], n);
    case Node::Kind::kIsNull:
      out.i.resize(n);
      if (args[0].constant || args[0].valid.empty()) std::fill_n(out.i.span().data(), n, !args[0].ok(0));
      else with_valid(args[0], [to = out.i.span()](auto there) { for (size_t r = 0; r < to.size(); ++r) to[r] = there(r) ^ 1; });
      return out;
    case Node::Kind::kIn: {
      out.i.resize(n);
      const bool between = node.name == "between";
      for (size_t r = 0; r < n; ++r) {
        bool hit = false, unknown = !args[0].ok(r);
        if (between) {
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
        if (unknown) set_null(r, n, out.valid);
      }
      return out;
    }
    case Node::Kind::kCall: return call(node, args, n);
    default: break;
  }
  if (node.name == "and" || node.name == "or") return logic(node.name, args[0], args[1], n);
  if (node.type != Type::kBool) return arithmetic(node, args[0], args[1], n);
  return compare(node.name, std::move(args[0]), std::move(args[1]), n);
}

std::optional<GroupKey> code_expression(const Node& node, const Batch& batch) {
  if (node.kind != Node::Kind::kCall || !node.function->codes) return {};
  std::vector<Values> args;
  std::vector<const Values*> pointers;
  const size_t n = size_t(batch.num_rows());
  for (const auto& a : node.args) args.push_back(evaluate_expression(*a, batch, 0, n));
  for (const auto& a : args) pointers.push_back(&a);
  ExpressionCodes codes;
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
