#include "operators/join/join.h"

#include <algorithm>

#include "framework/data/row_order.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class JoinOperator : public graph::KeyedOperator {
 public:
  explicit JoinOperator(Join params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    right_key_ = params_.right_on.empty() ? params_.on : params_.right_on;
    if (params_.on.empty()) throw job_error("'on' is empty");
    if (right_key_.size() != params_.on.size()) throw job_error("'on' has {} columns, 'right_on' {}", params_.on.size(), right_key_.size());
    for (size_t i = 0; i < right_key_.size(); ++i) {
      const auto &l = inputs[0].at(params_.on[i]), &r = inputs[1].at(right_key_[i]);
      if (l.type != r.type)
        throw job_error("column '{}' is {}, but '{}' of the right input is {}", l.name, data::type_name(l.type), r.name, data::type_name(r.type)).with_hint("make them one type with derive, such as string(x)");
      if (is_list(l.type)) throw job_error("column '{}' is {}; rows cannot be joined on it", l.name, data::type_name(l.type));
    }
    if (asof())
      for (const auto& schema : inputs)
        if (schema.at(params_.ts).type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", params_.ts, data::type_name(schema.at(params_.ts).type));
    output_ = inputs[0];
    right_columns_.clear();
    if (params_.how == "semi" || params_.how == "anti") return output_;
    for (const auto& field : inputs[1].fields()) {
      if (std::find(right_key_.begin(), right_key_.end(), field.name) != right_key_.end()) continue;
      data::Field named = field;
      if (output_.has(named.name)) named.name += params_.suffix;
      if (output_.has(named.name)) throw job_error("both inputs have a column '{}'", named.name).with_hint("set another 'suffix'");
      output_.add(named);
      right_columns_.emplace_back(field.name, named);
    }
    return output_;
  }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names = input == 0 ? params_.on : right_key_;
    if (asof()) names.push_back(params_.ts);
    for (const auto& name : wanted) {
      if (input == 0 && schema.has(name)) names.push_back(name);
      if (input == 0) continue;
      for (const auto& [column, field] : right_columns_)
        if (field.name == name) names.push_back(column);
    }
    return names;
  }
  graph::Names key() const override { return params_.on; }
  graph::Names key_of(size_t input) const override { return input == 0 ? params_.on : right_key_; }
  graph::Names order() const override { return asof() ? graph::Names{params_.ts} : graph::Names{}; }
  data::Batch process(const data::Batch&, std::span<const int64_t>) const override { throw bug("a join of one input"); }

  // Merges two sorted sides group by group. Pairs of row numbers, -1 where a side has none.
  data::Batch join(const data::Batch& left, const data::Batch& right) const override {
    Pairs pairs;
    const auto left_starts = data::group_starts(left, params_.on), right_starts = data::group_starts(right, right_key_);
    std::vector<std::pair<const data::Column*, const data::Column*>> keys;
    for (size_t i = 0; i < params_.on.size(); ++i) keys.emplace_back(&left.column(params_.on[i]), &right.column(right_key_[i]));
    auto compare = [&](int64_t l, int64_t r) {
      for (const auto& [a, b] : keys)
        if (int k = data::Column::compare(*a, l, *b, r)) return k;
      return 0;
    };
    auto null_key = [&](int64_t l) { return std::any_of(keys.begin(), keys.end(), [&](const auto& k) { return !k.first->is_valid(l); }); };
    size_t i = 0, j = 0;
    while (i + 1 < left_starts.size() || j + 1 < right_starts.size()) {
      const bool has_left = i + 1 < left_starts.size(), has_right = j + 1 < right_starts.size();
      const int k = !has_left ? 1 : !has_right ? -1 : compare(left_starts[i], right_starts[j]);
      if (k == 0 && !null_key(left_starts[i])) {
        match(left, right, {left_starts[i], left_starts[i + 1]}, {right_starts[j], right_starts[j + 1]}, pairs);
        ++i, ++j;
        continue;
      }
      if (k <= 0)
        for (int64_t l = left_starts[i]; l < left_starts[i + 1]; ++l) alone(true, l, pairs);
      if (k >= 0)
        for (int64_t r = right_starts[j]; r < right_starts[j + 1]; ++r) alone(false, r, pairs);
      i += k <= 0, j += k >= 0;
    }
    return assemble(left, right, pairs);
  }

 private:
  struct Pairs {
    std::vector<int64_t> left, right;
    void add(int64_t l, int64_t r) { left.push_back(l), right.push_back(r); }
  };
  using Range = std::pair<int64_t, int64_t>;

  bool asof() const { return params_.how == "asof"; }

  void alone(bool is_left, int64_t row, Pairs& pairs) const {
    const auto& how = params_.how;
    if (is_left && (how == "left" || how == "full" || how == "anti" || how == "asof")) pairs.add(row, -1);
    if (!is_left && (how == "right" || how == "full")) pairs.add(-1, row);
  }
  void match(const data::Batch& left, const data::Batch& right, Range l, Range r, Pairs& pairs) const {
    if (params_.how == "anti") return;
    if (params_.how == "semi") {
      for (int64_t a = l.first; a < l.second; ++a) pairs.add(a, -1);
      return;
    }
    if (!asof()) {
      for (int64_t a = l.first; a < l.second; ++a)
        for (int64_t b = r.first; b < r.second; ++b) pairs.add(a, b);
      return;
    }
    const auto &left_ts = left.column(params_.ts), &right_ts = right.column(params_.ts);
    auto times = left_ts.values<int64_t>(), others = right_ts.values<int64_t>();
    while (r.first < r.second && !right_ts.is_valid(r.first)) ++r.first;  // rows without a time come first, and are neither earlier nor later
    int64_t newest = r.first - 1;
    for (int64_t a = l.first; a < l.second; ++a) {
      if (!left_ts.is_valid(a)) {
        pairs.add(a, -1);
        continue;
      }
      while (newest + 1 < r.second && others[size_t(newest + 1)] <= times[size_t(a)]) ++newest;
      const bool fresh = newest >= r.first && (params_.tolerance.microseconds == 0 || times[size_t(a)] - others[size_t(newest)] <= params_.tolerance.microseconds);
      pairs.add(a, fresh ? newest : -1);
    }
  }

  data::Batch assemble(const data::Batch& left, const data::Batch& right, const Pairs& pairs) const {
    auto gather = [&](const data::Column& c, const std::vector<int64_t>& rows, const data::Column* other, const std::vector<int64_t>* other_rows) {
      if (std::find(rows.begin(), rows.end(), -1) == rows.end()) return c.take(rows);
      data::Column out(c.type());
      for (size_t k = 0; k < rows.size(); ++k) {
        if (rows[k] >= 0) out.append_row(c, rows[k]);
        else if (other) out.append_row(*other, (*other_rows)[k]);
        else out.append_null();
      }
      return out;
    };
    std::vector<data::Column> columns;
    data::Schema schema;
    for (const auto& field : left.schema().fields()) {
      // A row that only the right has shows its key.
      auto at = std::find(params_.on.begin(), params_.on.end(), field.name);
      const data::Column* other = at == params_.on.end() ? nullptr : &right.column(right_key_[size_t(at - params_.on.begin())]);
      columns.push_back(gather(left.column(field.name), pairs.left, other, &pairs.right));
      schema.add(field);
    }
    for (const auto& [column, field] : right_columns_) {
      if (!right.schema().has(column)) continue;  // nobody reads it
      columns.push_back(gather(right.column(column), pairs.right, nullptr, nullptr));
      schema.add(field);
    }
    return data::Batch(std::move(schema), std::move(columns), left.origin);
  }

  Join params_;
  graph::Names right_key_;
  data::Schema output_;
  std::vector<std::pair<std::string, data::Field>> right_columns_;
};

}  // namespace
}  // namespace throng::op

void register_join(throng::graph::Registry& registry) { registry.add<throng::op::Join, throng::op::JoinOperator>(); }
