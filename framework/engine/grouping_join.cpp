// Groups of two inputs: a sorted merge, in which either side of a key may be larger than memory.
#include "framework/engine/grouping.h"

#include <algorithm>

#include "framework/engine/portions.h"

namespace throng::engine {

using data::Batch;

namespace {

using RightRows = graph::KeyedOperator::RightRows;
constexpr int64_t kMostPairs = int64_t{1} << 18;  // made at once of one key

// The rows of a side that have the key of `key_row`, as they come.
class RowsOfKey {
 public:
  RowsOfKey(Portions& side, const Batch& key_row, const graph::Names& names) : side_(side), key_row_(key_row), names_(names) {}
  /// How many are in hand, the first ones; 0 when there are no more.
  int64_t in_hand() {
    while (side_.empty() && !side_.over) side_.load();
    return side_.empty() ? 0 : side_.before(key_row_, names_, 0, true);
  }
  /// No rows behind those in hand have the key.
  bool complete() { return in_hand() < side_.rows.num_rows() || side_.over; }
  Batch take() { return side_.take(in_hand()); }
  void drop() {
    while (in_hand() > 0) take();
  }

 private:
  Portions& side_;
  const Batch& key_row_;
  const graph::Names& names_;
};

bool has_null(const Batch& rows, const graph::Names& key) {
  return std::any_of(key.begin(), key.end(), [&](const auto& name) { return !rows.column(name).is_valid(0); });
}

}  // namespace

// Merges two sides. Keys before the last one in hand are complete. Where a key fills the left side, all right rows of it are held and
// the left ones meet them in portions; where it fills the right side, too, these are not held either.
void Grouping::stream_join(Portions& left, Portions& right, int64_t partition, const Resources& resources, const std::function<void(Batch)>& emit,
                           const std::function<void(const LargeGroup&)>& large) const {
  const uint64_t budget = resources.memory.limit_bytes();
  auto join = [&](Batch l, const Batch& r) {
    if (l.num_rows() + r.num_rows() == 0) return;
    l.origin = {partition, 0};
    emit(op_.join(l, r));
  };
  auto join_key = [&](const Batch& l, const Batch& r) {  // left rows of one key
    const int64_t step = op_.right_rows() == RightRows::kEach ? std::max<int64_t>(1, kMostPairs / std::max<int64_t>(1, r.num_rows())) : l.num_rows();
    for (int64_t at = 0; at < l.num_rows(); at += step) join(l.slice(at, std::min(step, l.num_rows() - at)), r);
  };
  const uint64_t portion = std::max<uint64_t>(data::kPieceBytes / 4, budget / 32);
  int64_t met = 0;  // right rows, the first in hand, that have met left rows of their key; the next left row is of that key, too
  LargeGroup group;
  auto end_met = [&](int64_t left_rows) {
    if (met == 0) return;
    group.rows += left_rows;
    large(group);
    group = {}, met = 0;
  };
  for (;;) {
    if (left.empty() && !left.over) {
      left.load();
      if (met > 0 && (left.empty() || KeyComparison(left.rows, left.key, right.rows, right.key)(0, 0) != 0)) {
        right.take(met);
        end_met(0);
      }
      continue;
    }
    if (right.empty() && !right.over) {
      right.load();
      continue;
    }
    if (left.over && right.over) {
      end_met(left.rows.num_rows());
      return join(left.rows, right.rows);
    }
    if (left.empty() || right.empty()) {  // one side is over
      Batch l = left.take(left.rows.num_rows());
      join(std::move(l), right.take(right.rows.num_rows()));
      continue;
    }
    // Of the last keys in hand, on sides that go on, the lesser: what comes before it is complete.
    bool by_left = !left.over;
    if (!left.over && !right.over) by_left = KeyComparison(left.rows, left.key, right.rows, right.key)(left.last(), right.last()) <= 0;
    const graph::Names& key = by_left ? left.key : right.key;
    const Batch bound = by_left ? left.rows : right.rows;
    const int64_t last = bound.num_rows() - 1;
    if (const int64_t l = left.before(bound, key, last, false), r = right.before(bound, key, last, false); l + r > 0) {
      end_met(l);
      Batch rows = left.take(l);
      join(std::move(rows), right.take(r));
      continue;
    }
    // This key is the first on both sides that have it.
    const int64_t l = left.before(bound, key, last, true), r = right.before(bound, key, last, true);
    if (!right.over && r == right.rows.num_rows()) {
      if (l == 0) {  // no left row will have it
        join(left.rows.slice(0, 0), right.take(r));
        continue;
      }
      if (op_.right_rows() != RightRows::kAll && right.rows.num_bytes() > budget / 8) {
        const std::string text = key_text(right.rows, right.key, 0);
        large({text, join_large_right(left, right, resources, join)});
        continue;
      }
      if (right.rows.num_bytes() > budget) too_large(right.rows, 1, right.rows.num_bytes(), budget);
      right.load();
      continue;
    }
    if (left.over || l < left.rows.num_rows()) {
      end_met(l);
      Batch rows = left.take(l);
      join(std::move(rows), right.take(r));
      continue;
    }
    if (left.rows.num_bytes() < portion) {
      left.load();
      continue;
    }
    const bool null_key = has_null(left.rows, left.key);
    group.rows += l;
    group.key = key_text(left.rows, left.key, 0);
    join_key(left.take(l), right.rows.slice(0, null_key ? 0 : r));  // nulls meet nothing: the right ones wait until the left ones are through
    met = null_key ? 0 : r;
  }
}

// Both sides begin with rows of one key, which fill what is in hand of the right one. Gives what `join` of all of them would, and how many
// rows there were.
int64_t Grouping::join_large_right(Portions& left, Portions& right, const Resources& resources, const std::function<void(Batch, const Batch&)>& join) const {
  const Batch key_row = right.rows.slice(0, 1), none = key_row.slice(0, 0);
  RowsOfKey lefts(left, key_row, right.key), rights(right, key_row, right.key);
  int64_t rows = 0;
  auto next_left = [&] {
    Batch batch = lefts.take();
    rows += batch.num_rows();
    return batch;
  };
  if (has_null(key_row, right.key)) {  // they meet nothing; the right ones come after the left ones
    while (lefts.in_hand() > 0) join(next_left(), none);
    return rows + right.rows.num_rows();
  }
  if (op_.right_rows() == RightRows::kNewest) return join_newest(left, right, key_row, join);
  if (op_.right_rows() == RightRows::kAny) {
    for (; rights.in_hand() > 0; rows += rights.take().num_rows()) {
    }
    while (lefts.in_hand() > 0) join(next_left(), key_row);
    return rows;
  }
  // As many pairs as left rows times right rows are made: reading the right ones anew for each left row costs no more.
  SpillFile file(resources.spill_folder, resources.quota);
  std::vector<BlockPlace> blocks;
  const auto schema = std::make_shared<data::Schema>(key_row.schema());
  while (rights.in_hand() > 0) {
    const Batch some = rights.take();
    rows += some.num_rows();
    Buffer bytes;
    some.serialize(bytes);
    blocks.push_back(file.add(bytes));
  }
  while (lefts.in_hand() > 0) {
    const Batch some = next_left();
    for (int64_t l = 0; l < some.num_rows(); ++l)
      for (const auto& block : blocks) join(some.slice(l, 1), Batch::deserialize(file.read(block), schema));
  }
  return rows;
}

// Of the right rows before those in hand only the last may still be the newest one for a left row.
int64_t Grouping::join_newest(Portions& left, Portions& right, const Batch& key_row, const std::function<void(Batch, const Batch&)>& join) const {
  RowsOfKey lefts(left, key_row, right.key), rights(right, key_row, right.key);
  Batch newest = key_row.slice(0, 0);
  int64_t rows = 0;
  while (lefts.in_hand() > 0) {
    const int64_t r = rights.in_hand();
    const bool complete = r == 0 || rights.complete();
    const Batch near = Batch::concat(key_row.schema(), std::vector<Batch>{newest, right.rows.slice(0, r)});
    int64_t l = lefts.in_hand();
    if (!complete) {  // those before the last right row in hand meet no later one
      const KeyComparison compare(left.rows, op_.order_of(0), near, op_.order_of(1));
      int64_t low = 0;
      for (int64_t high = l; low < high;) {
        const int64_t middle = (low + high) / 2;
        if (compare(middle, near.num_rows() - 1) < 0) low = middle + 1;
        else high = middle;
      }
      if (low < l) {
        newest = near.slice(near.num_rows() - 1, 1);
        rows += r;
      }
      if (low > 0) join(left.take(low), near);
      rows += low;
      if (low < l) right.take(r);
      continue;
    }
    rows += l;
    join(left.take(l), near);
  }
  for (; rights.in_hand() > 0; rows += rights.take().num_rows()) {
  }
  return rows;
}

}  // namespace throng::engine
