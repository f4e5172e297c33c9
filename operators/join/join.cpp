#include "operators/join/join.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "framework/data/row_order.h"
#include "framework/graph/registry.h"
#include "operators/join/join_table.h"

namespace throng::op {
namespace {

using data::Type;

// Kinds that need no more than one left row and the right ones.
bool keeps_left_order(const std::string& how) { return how == "inner" || how == "left" || how == "semi" || how == "anti"; }

// What both ways of joining share: columns in and out.
class JoinColumns {
 public:
  explicit JoinColumns(Join params) : params_(std::move(params)) {}

 protected:
  data::Schema bind_columns(const std::vector<data::Schema>& inputs) {
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
  graph::Names columns_needed(size_t input, const data::Schema& schema, const graph::Names& wanted) const {
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
  struct Pairs {
    std::vector<int64_t> left, right;
    void add(int64_t l, int64_t r) { left.push_back(l), right.push_back(r); }
  };
  using Range = std::pair<int64_t, int64_t>;

  bool asof() const { return params_.how == "asof"; }

  data::Batch assemble(const data::Batch& left, const data::Batch& right, const Pairs& pairs) const {
    auto gather = [&](const data::Column& c, const std::vector<int64_t>& rows, bool whole, const data::Column* other, const std::vector<int64_t>* other_rows) {
      if (whole) return c.take(rows);
      data::Column out(c.type());
      for (size_t k = 0; k < rows.size(); ++k) {
        if (rows[k] >= 0) out.append_row(c, rows[k]);
        else if (other) out.append_row(*other, (*other_rows)[k]);
        else out.append_null();
      }
      return out;
    };
    auto none_missing = [](const std::vector<int64_t>& rows) { return std::find(rows.begin(), rows.end(), -1) == rows.end(); };
    bool as_they_are = int64_t(pairs.left.size()) == left.num_rows();  // each left row once, in order
    for (size_t k = 0; as_they_are && k < pairs.left.size(); ++k) as_they_are = pairs.left[k] == int64_t(k);
    const bool left_whole = as_they_are || none_missing(pairs.left), right_whole = none_missing(pairs.right);
    std::vector<data::ColumnPtr> columns;
    auto schema = std::make_shared<data::Schema>();
    for (const auto& field : left.schema().fields()) {
      // A row that only the right has shows its key.
      auto at = std::find(params_.on.begin(), params_.on.end(), field.name);
      const data::Column* other = at == params_.on.end() ? nullptr : &right.column(right_key_[size_t(at - params_.on.begin())]);
      const int number = left.schema().find(field.name);
      columns.push_back(as_they_are ? left.column_ptr(size_t(number))
                                    : std::make_shared<data::Column>(gather(left.column(size_t(number)), pairs.left, left_whole, other, &pairs.right)));
      schema->add(field);
    }
    for (const auto& [column, field] : right_columns_) {
      if (!right.schema().has(column)) continue;  // nobody reads it
      columns.push_back(std::make_shared<data::Column>(gather(right.column(column), pairs.right, right_whole, nullptr, nullptr)));
      schema->add(field);
    }
    return data::Batch(std::move(schema), std::move(columns), left.origin);
  }

  Join params_;
  graph::Names right_key_;
  data::Schema output_;
  std::vector<std::pair<std::string, data::Field>> right_columns_;
};

class ShuffledJoin : public graph::KeyedOperator, private JoinColumns {
 public:
  using JoinColumns::JoinColumns;
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return bind_columns(inputs); }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names& wanted) const override { return columns_needed(input, schema, wanted); }
  graph::Names key() const override { return params_.on; }
  graph::Names key_of(size_t input) const override { return input == 0 ? params_.on : right_key_; }
  graph::Names order() const override { return asof() ? graph::Names{params_.ts} : graph::Names{}; }
  data::Batch process(const data::Batch&, std::span<const int64_t>) const override { throw bug("a join of one input"); }
  RightRows right_rows() const override { return asof() ? RightRows::kNewest : params_.how == "semi" || params_.how == "anti" ? RightRows::kAny : RightRows::kEach; }
  std::unique_ptr<graph::MapOperator> broadcast_variant() const override;

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
};

// The right input in a table on every rank; the left rows stay where they are. Where it does not fit, each left batch meets it portion by
// portion.
class BroadcastJoin : public graph::MapOperator, private JoinColumns {
 public:
  using JoinColumns::JoinColumns;
  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (!keeps_left_order(params_.how)) throw job_error("'strategy' is broadcast, but 'how' is {}; expected inner, left, semi or anti", params_.how);
    return bind_columns(inputs);
  }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names& wanted) const override { return columns_needed(input, schema, wanted); }

  void take_side(size_t, data::Batch rows) override {
    portions_ = {};
    table_.emplace(std::move(rows), right_key_);
  }
  bool take_side_portions(size_t, SidePortions portions) override {
    table_.reset();
    portions_ = std::move(portions);
    return portions_.count > 0;
  }

  data::Batch map(const data::Batch& left) const override {
    const bool once = params_.how == "semi" || params_.how == "anti";
    if (!table_) return once ? map_once(left) : map_portions(left);
    Pairs pairs;
    table_->matches(left, params_.on, once, pairs.left, pairs.right);
    if (params_.how == "left" || params_.how == "anti") pairs = with_unmatched(left, pairs);
    return assemble(left, table_->rows(), pairs);
  }

 private:
  // Anti keeps the unmatched rows only.
  Pairs with_unmatched(const data::Batch& left, const Pairs& met) const {
    Pairs pairs;
    size_t k = 0;
    for (int64_t l = 0; l < left.num_rows(); ++l) {
      const bool matched = k < met.left.size() && met.left[k] == l;
      if (!matched) pairs.add(l, -1);
      for (; k < met.left.size() && met.left[k] == l; ++k)
        if (params_.how == "left") pairs.add(l, met.right[k]);
    }
    return pairs;
  }
  // Semi, anti: a row that has met a portion's row has met one.
  data::Batch map_once(const data::Batch& left) const {
    std::vector<uint8_t> met(size_t(left.num_rows()), 0);
    for (size_t i = 0; i < portions_.count; ++i) {
      Pairs pairs;
      JoinTable(portions_.read(i), right_key_).matches(left, params_.on, true, pairs.left, pairs.right);
      for (int64_t l : pairs.left) met[size_t(l)] = 1;
    }
    std::vector<int64_t> kept;
    for (size_t l = 0; l < met.size(); ++l)
      if (met[l] == (params_.how == "semi")) kept.push_back(int64_t(l));
    return left.take(kept);
  }
  // The pairs of all portions, then put in order of the left row; those of one are in order of the portions already.
  data::Batch map_portions(const data::Batch& left) const {
    std::vector<data::Batch> parts;
    std::vector<int64_t> lefts;
    std::vector<uint8_t> met(size_t(left.num_rows()), 0);
    for (size_t i = 0; i < portions_.count; ++i) {
      Pairs pairs;
      const JoinTable table(portions_.read(i), right_key_);
      table.matches(left, params_.on, false, pairs.left, pairs.right);
      for (int64_t l : pairs.left) met[size_t(l)] = 1;
      if (params_.how == "left" && i + 1 == portions_.count)
        for (size_t l = 0; l < met.size(); ++l)
          if (!met[l]) pairs.add(int64_t(l), -1);
      lefts.insert(lefts.end(), pairs.left.begin(), pairs.left.end());
      parts.push_back(assemble(left, table.rows(), pairs));
    }
    std::vector<int64_t> order(lefts.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lefts[size_t(a)] < lefts[size_t(b)]; });
    data::Batch rows = data::Batch::concat(parts[0].schema(), parts).take(order);
    rows.origin = left.origin;
    return rows;
  }
  std::optional<JoinTable> table_;
  SidePortions portions_;
};

std::unique_ptr<graph::MapOperator> ShuffledJoin::broadcast_variant() const {
  if (params_.strategy != "auto" || !keeps_left_order(params_.how)) return nullptr;
  return std::make_unique<BroadcastJoin>(params_);
}

}  // namespace
}  // namespace throng::op

void register_join(throng::graph::Registry& registry) {
  using namespace throng::op;  // NOLINT
  registry.add_variants<Join>(throng::graph::Shape::kKeyed, [](Join params) -> std::unique_ptr<throng::graph::Operator> {
    if (params.strategy == "broadcast") return std::make_unique<BroadcastJoin>(std::move(params));
    return std::make_unique<ShuffledJoin>(std::move(params));
  });
}
