#include "framework/data/expression.h"

#include <algorithm>

#include "framework/data/expression_node.h"
#include "framework/data/expression_rows.h"

namespace throng::data {
namespace {

// Rows that go through an expression at a time: what its steps make stays in the processor's caches.
constexpr size_t kRowsAtATime = 2048;

Column repeated(const ExpressionValues& v, size_t n) {
  Column one(v.type);
  if (v.s) one = *v.s;
  else if (!v.ok(0)) one.append_null();
  else if (v.type == Type::kBool) one.append(uint8_t(v.whole(0)));
  else if (is_float(v.type)) one.append(v.number(0));
  else one.append(v.whole(0));
  return one.take(std::vector<int64_t>(n, 0));
}

// The values of a batch, put together as they come.
class Result {
 public:
  Result(Type type, size_t rows) : type_(type), rows_(rows), strings_(is_fixed(type) ? Type::kString : type) {
    if (is_fixed(type)) parts_.bytes.resize(rows * size_t(type == Type::kBool ? 1 : 8));
  }
  void add(const ExpressionValues& v, size_t first, size_t n) {
    if (v.s) return strings_.append_slice(*v.s, int64_t(v.first_string), int64_t(n));
    if (type_ == Type::kBool) put(v.i.span(), v.valid, reinterpret_cast<uint8_t*>(parts_.bytes.data()) + first);
    else if (is_float(type_)) put(v.f.span(), v.valid, reinterpret_cast<double*>(parts_.bytes.data()) + first);
    else put(v.i.span(), v.valid, reinterpret_cast<int64_t*>(parts_.bytes.data()) + first);
    if (v.valid.empty() || !std::memchr(v.valid.data(), 0, n)) return;
    if (parts_.valid.empty()) parts_.valid.assign(rows_, 1);
    std::memcpy(parts_.valid.data() + first, v.valid.data(), n);
  }
  Column column() {
    if (!is_fixed(type_)) return std::move(strings_);
    return Column::from_parts(type_, int64_t(rows_), std::move(parts_));
  }

 private:
  template <class From, class To>
  void put(std::span<const From> from, const AlignedVector<uint8_t>& valid, To* to) {
    for (size_t r = 0; r < from.size(); ++r) to[r] = To(from[r]);
    for (size_t r = 0; r < valid.size(); ++r) to[r] = valid[r] ? to[r] : To(0);  // a null row holds zero
  }
  Type type_;
  size_t rows_;
  Column::Parts parts_;
  Column strings_;
};

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

int Expression::column_of(const Batch& batch) const { return root_->kind == Node::Kind::kColumn ? batch.schema().find(root_->name) : -1; }

Column Expression::evaluate(const Batch& batch) const {
  if (const int at = column_of(batch); at >= 0 && !is_fixed(root_->type)) return *batch.column_ptr(size_t(at));
  try {
    const size_t rows = size_t(batch.num_rows());
    std::optional<Result> result;
    for (size_t first = 0; first < rows || !result; first += kRowsAtATime) {
      const size_t n = std::min(rows - first, kRowsAtATime);
      const ExpressionValues values = evaluate_expression(*root_, batch, first, n);
      if (values.constant) return repeated(values, rows);
      if (!result) result.emplace(values.type, rows);
      result->add(values, first, n);
    }
    return result->column();
  } catch (Error& e) {
    e.prefix(fmt::format("expression `{}`: ", text_));
    throw;
  }
}

ColumnPtr Expression::evaluate_shared(const Batch& batch) const {
  const int at = column_of(batch);
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
