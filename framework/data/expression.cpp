#include "framework/data/expression.h"

#include <algorithm>

#include "framework/data/expression_node.h"

namespace throng::data {
namespace {

Column to_column(const ExpressionValues& v, size_t n) {
  if (v.s) {
    if (!v.constant) return *v.s;
    Column c(v.type);
    for (size_t r = 0; r < n; ++r) c.append_row(*v.s, 0);
    return c;
  }
  Column c = Column::zeros(v.type, int64_t(n));
  for (size_t r = 0; r < n; ++r) {
    if (!v.ok(r)) {
      c.set_null(int64_t(r));
      continue;
    }
    if (v.type == Type::kBool) c.mutable_values<uint8_t>()[r] = uint8_t(v.whole(r));
    else if (is_float(v.type)) c.mutable_values<double>()[r] = v.number(r);
    else c.mutable_values<int64_t>()[r] = v.whole(r);
  }
  return c;
}

void collect_columns(const Expression::Node& node, std::vector<std::string>& names) {
  if (node.kind == Expression::Node::Kind::kColumn && std::find(names.begin(), names.end(), node.name) == names.end()) names.push_back(node.name);
  for (const auto& a : node.args) collect_columns(*a, names);
}

}  // namespace

Expression::Expression(const std::string& text, const Schema& schema) : text_(text) {
  root_ = parse_expression(text);
  if (root_->is_null) throw job_error("expression `{}`: null has no type", text).with_hint("write for example float(null)");
  check_expression(text, *root_, schema);
}
Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

Type Expression::type() const { return root_->type; }

std::vector<std::string> Expression::columns() const {
  std::vector<std::string> names;
  collect_columns(*root_, names);
  return names;
}

Column Expression::evaluate(const Batch& batch) const {
  try {
    return to_column(evaluate_expression(*root_, batch), size_t(batch.num_rows()));
  } catch (Error& e) {
    e.prefix(fmt::format("expression `{}`: ", text_));
    throw;
  }
}

ColumnPtr Expression::evaluate_shared(const Batch& batch) const {
  const int at = root_->kind == Node::Kind::kColumn ? batch.schema().find(root_->name) : -1;
  return at >= 0 ? batch.column_ptr(size_t(at)) : std::make_shared<Column>(evaluate(batch));
}

std::vector<uint8_t> Expression::evaluate_filter(const Batch& batch) const {
  Column c = evaluate(batch);
  auto values = c.values<uint8_t>();
  return {values.begin(), values.end()};  // null rows hold zero
}

std::vector<std::pair<std::string, std::string>> Expression::functions() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& f : expression_functions()) list.emplace_back(f.signature, f.meaning);
  return list;
}

}  // namespace throng::data
