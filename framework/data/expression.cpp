#include "framework/data/expression.h"

#include <algorithm>

#include "framework/data/expression_node.h"

namespace throng::data {
namespace {

Column to_column(ExpressionValues v, size_t n) {
  if (v.constant) {
    Column one(v.type);
    if (v.s) one = *v.s;
    else if (!v.ok(0)) one.append_null();
    else if (v.type == Type::kBool) one.append(uint8_t(v.whole(0)));
    else if (is_float(v.type)) one.append(v.number(0));
    else one.append(v.whole(0));
    return one.take(std::vector<int64_t>(n, 0));
  }
  if (v.s) return *v.s;
  Column::Parts parts;
  if (std::find(v.valid.begin(), v.valid.end(), 0) != v.valid.end()) parts.valid = std::move(v.valid);
  auto clear_nulls = [&](auto* values) {
    for (size_t r = 0; r < parts.valid.size(); ++r)
      if (!parts.valid[r]) values[r] = 0;
  };
  if (v.type == Type::kBool) {
    parts.bytes.resize(n);
    auto* to = reinterpret_cast<uint8_t*>(parts.bytes.data());
    for (size_t r = 0; r < n; ++r) to[r] = uint8_t(v.i[r]);
    clear_nulls(to);
  } else {
    parts.bytes = is_float(v.type) ? v.f.take_bytes() : v.i.take_bytes();
    clear_nulls(reinterpret_cast<uint64_t*>(parts.bytes.data()));  // whichever it is, zero is no bit
  }
  return Column::from_parts(v.type, int64_t(n), std::move(parts));
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

GroupKey Expression::evaluate_key(const Batch& batch) const {
  try {
    if (auto key = code_expression(*root_, batch)) return std::move(*key);
  } catch (Error& e) {
    e.prefix(fmt::format("expression `{}`: ", text_));
    throw;
  }
  return {std::make_shared<Column>(evaluate(batch))};
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
