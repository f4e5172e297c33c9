// What an expression can be, from the ranges of its columns alone.
#include <cmath>

#include "framework/data/expression_node.h"

namespace throng::data {
namespace {

using Node = Expression::Node;

// Less than, equal to or greater than zero, as values compare; nullopt where they do not.
std::optional<int> compare(const ColumnRange::Value& bound, const ExpressionValues& constant) {
  auto three_way = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (!constant.ok(0)) return {};
  if (auto* text = std::get_if<std::string>(&bound)) {
    if (constant.type != Type::kString) return {};
    return three_way(std::string_view(*text).compare(constant.text(0)), 0);
  }
  if (constant.type == Type::kString || is_list(constant.type)) return {};
  auto* whole = std::get_if<int64_t>(&bound);
  if (whole && !is_float(constant.type)) return three_way(*whole, constant.whole(0));
  const double x = whole ? double(*whole) : std::get<double>(bound), y = constant.number(0);
  if (std::isnan(y)) return {};
  return three_way(x, y);
}

bool may_compare(const ColumnStatistics& s, const std::string& op, const ExpressionValues& constant) {
  if (s.null_count == s.rows) return false;
  if (!s.range.known()) return true;
  const auto least = compare(s.range.least, constant), greatest = compare(s.range.greatest, constant);
  if (!least || !greatest) return true;
  const bool floats = s.range.least.index() == 2;  // NaN is in no range, and above all numbers
  if (op == "==") return *least <= 0 && *greatest >= 0;
  if (op == "<") return *least < 0;
  if (op == "<=") return *least <= 0;
  if (op == ">") return floats || *greatest > 0;
  if (op == ">=") return floats || *greatest >= 0;
  if (op == "!=") return floats || *least != 0 || *greatest != 0;
  return true;
}

std::string turned(const std::string& op) { return op == "<" ? ">" : op == "<=" ? ">=" : op == ">" ? "<" : op == ">=" ? "<=" : op; }

bool may_hold(const Node& node, const StatisticsOf& statistics) {
  auto is = [](const Node& n, Node::Kind kind) { return n.kind == kind; };
  using Kind = Node::Kind;
  auto known = [&](const Node& n) { return is(n, Kind::kColumn) ? statistics(n.name) : nullptr; };
  if (is(node, Kind::kBinary) && node.name == "and") return may_hold(*node.args[0], statistics) && may_hold(*node.args[1], statistics);
  if (is(node, Kind::kBinary) && node.name == "or") return may_hold(*node.args[0], statistics) || may_hold(*node.args[1], statistics);
  if (is(node, Kind::kBinary) && node.type == Type::kBool) {
    const Node &a = *node.args[0], &b = *node.args[1];
    if (auto* s = known(a); s && is(b, Kind::kLiteral)) return may_compare(*s, node.name, b.literal);
    if (auto* s = known(b); s && is(a, Kind::kLiteral)) return may_compare(*s, turned(node.name), a.literal);
    return true;
  }
  if (is(node, Kind::kIn)) {
    auto* s = known(*node.args[0]);
    for (size_t k = 1; k < node.args.size(); ++k)
      if (!is(*node.args[k], Kind::kLiteral)) return true;
    if (!s) return true;
    if (node.name == "between") return may_compare(*s, ">=", node.args[1]->literal) && may_compare(*s, "<=", node.args[2]->literal);
    for (size_t k = 1; k < node.args.size(); ++k)
      if (node.args[k]->literal.ok(0) && may_compare(*s, "==", node.args[k]->literal)) return true;
    return false;
  }
  if (is(node, Kind::kIsNull)) {
    auto* s = known(*node.args[0]);
    return !s || s->null_count > 0;
  }
  if (is(node, Kind::kUnary) && node.name == "not" && is(*node.args[0], Kind::kIsNull)) {
    auto* s = known(*node.args[0]->args[0]);
    return !s || s->null_count < s->rows;
  }
  return true;
}

}  // namespace

bool Expression::may_hold(const StatisticsOf& statistics) const { return data::may_hold(*root_, statistics); }

}  // namespace throng::data
