#include "operators/join/join.h"

#include <algorithm>

#include "framework/data/row_order.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

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

// The right input in a table on every rank; the left rows stay where they are.
class BroadcastJoin : public graph::MapOperator, private JoinColumns {
 public:
  using JoinColumns::JoinColumns;
  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& how = params_.how;
    if (how != "inner" && how != "left" && how != "semi" && how != "anti") throw job_error("'strategy' is broadcast, but 'how' is {}; expected inner, left, semi or anti", how);
    return bind_columns(inputs);
  }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names& wanted) const override { return columns_needed(input, schema, wanted); }

  void take_side(size_t, data::Batch rows) override {
    right_ = std::move(rows);
    const size_t n = size_t(right_.num_rows());
    next_.assign(n, -1);
    slots_.clear(), hashes_.clear();
    const auto null_keys = keys_that_may_be_null(right_, right_key_);
    const bool direct = table_by_value(n);
    if (!direct) {
      size_t capacity = 64;
      while (capacity < 2 * n) capacity *= 2;
      slots_.assign(capacity, -1);
      hashes_ = right_.hash_rows(right_key_);
    }
    for (size_t r = n; r-- > 0;) {  // backwards: a chain begins with the first row
      if (any_null(null_keys, int64_t(r))) continue;
      int32_t& slot = slots_[direct ? uint64_t(right_.column(right_key_[0]).as_int64(int64_t(r))) - uint64_t(least_) : hashes_[r] & (slots_.size() - 1)];
      next_[r] = std::exchange(slot, int32_t(r));
    }
  }

  data::Batch map(const data::Batch& left) const override {
    const auto null_keys = keys_that_may_be_null(left, params_.on);
    const bool once = params_.how == "semi" || params_.how == "anti", unmatched = params_.how == "left" || params_.how == "anti";
    Pairs pairs;
    pairs.left.reserve(size_t(left.num_rows())), pairs.right.reserve(size_t(left.num_rows()));
    auto probe = [&](const auto& first, const auto& same) {
      for (int64_t l = 0; l < left.num_rows(); ++l) {
        bool found = false;
        int32_t r = null_keys.empty() || !any_null(null_keys, l) ? first(l) : -1;
        for (; r >= 0; r = next_[size_t(r)]) {
          if (!same(l, r)) continue;
          found = true;
          if (once) break;
          pairs.add(l, r);
        }
        if (found ? params_.how == "semi" : unmatched) pairs.add(l, -1);
      }
    };
    if (hashes_.empty()) {  // by value
      auto by_value = [&](auto values) {
        probe([&](int64_t l) { const uint64_t at = uint64_t(int64_t{values[size_t(l)]}) - uint64_t(least_); return at < slots_.size() ? slots_[at] : -1; }, [](int64_t, int32_t) { return true; });
      };
      const data::Column& key = left.column(params_.on[0]);
      if (key.type() == Type::kBool) by_value(key.values<uint8_t>());
      else if (key.type() == Type::kInt32) by_value(key.values<int32_t>());
      else by_value(key.values<int64_t>());
      return assemble(left, right_, pairs);
    }
    const auto hashes = left.hash_rows(params_.on);
    std::vector<std::pair<const data::Column*, const data::Column*>> keys;
    for (size_t i = 0; i < params_.on.size(); ++i) keys.emplace_back(&left.column(params_.on[i]), &right_.column(right_key_[i]));
    probe([&](int64_t l) { return slots_[hashes[size_t(l)] & (slots_.size() - 1)]; },
          [&](int64_t l, int32_t r) {
            return hashes_[size_t(r)] == hashes[size_t(l)] && std::all_of(keys.begin(), keys.end(), [&](const auto& k) { return data::Column::compare(*k.first, l, *k.second, r) == 0; });
          });
    return assemble(left, right_, pairs);
  }

 private:
  // One key of whole numbers that lie close together needs no hashes: a slot for each value.
  bool table_by_value(size_t n) {
    if (n >= size_t(INT32_MAX)) throw data_error("the right input has {} rows; a broadcast takes up to {}", n, INT32_MAX).with_hint("strategy: shuffle");
    const data::Column& key = right_.column(right_key_[0]);
    if (right_key_.size() > 1 || (!data::is_integer(key.type()) && key.type() != Type::kBool && key.type() != Type::kTimestamp)) return false;
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    for (int64_t r = 0; r < int64_t(n); ++r)
      if (key.is_valid(r)) least = std::min(least, key.as_int64(r)), greatest = std::max(greatest, key.as_int64(r));
    const uint64_t width = least > greatest ? 0 : uint64_t(greatest) - uint64_t(least);
    if (width >= 8 * uint64_t(n) + 1024) return false;
    least_ = least > greatest ? 0 : least;
    slots_.assign(size_t(width) + 1, -1);
    return true;
  }
  static std::vector<const data::Column*> keys_that_may_be_null(const data::Batch& rows, const graph::Names& key) {
    std::vector<const data::Column*> columns;
    for (const auto& name : key)
      if (rows.column(name).has_nulls()) columns.push_back(&rows.column(name));
    return columns;
  }
  static bool any_null(const std::vector<const data::Column*>& columns, int64_t row) {
    return std::any_of(columns.begin(), columns.end(), [&](const auto* c) { return !c->is_valid(row); });
  }
  data::Batch right_;
  int64_t least_ = 0;                  // the value of the first slot, where slots are by value
  std::vector<int32_t> slots_, next_;  // first row of a chain, the row after
  std::vector<uint64_t> hashes_;       // of the right rows; empty where slots are by value
};

}  // namespace
}  // namespace throng::op

void register_join(throng::graph::Registry& registry) {
  using namespace throng::op;  // NOLINT
  registry.add_variants<Join>(throng::graph::Shape::kKeyed, [](Join params) -> std::unique_ptr<throng::graph::Operator> {
    if (params.strategy == "broadcast") return std::make_unique<BroadcastJoin>(std::move(params));
    return std::make_unique<ShuffledJoin>(std::move(params));
  });
}
