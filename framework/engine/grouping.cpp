#include "framework/engine/grouping.h"

#include <algorithm>

#include "framework/base/units.h"
#include "framework/data/row_text.h"

namespace throng::engine {

using data::Batch;

namespace {

// Rows without their place in the input.
Batch without_place(const Batch& rows) {
  graph::Names kept = rows.schema().names();
  kept.pop_back();
  return rows.project(kept);
}

// Keys of rows of two batches, whose columns may have other names.
class KeyComparison {
 public:
  KeyComparison(const Batch& a, const graph::Names& names_a, const Batch& b, const graph::Names& names_b) {
    for (size_t i = 0; i < names_a.size(); ++i) columns_.emplace_back(&a.column(names_a[i]), &b.column(names_b[i]));
  }
  int operator()(int64_t i, int64_t j) const {
    for (const auto& [a, b] : columns_)
      if (int k = data::Column::compare(*a, i, *b, j)) return k;
    return 0;
  }

 private:
  std::vector<std::pair<const data::Column*, const data::Column*>> columns_;
};

std::string key_text(const Batch& rows, const graph::Names& names, int64_t row) {
  const Batch keys = rows.slice(row, 1).project(names);
  return names.empty() ? "all rows" : data::row_as_json(keys, 0);
}

}  // namespace

// What SortedRows gives, with what is left of it in hand.
struct Grouping::Portions {
  SortedRows source;
  const graph::Names key;
  size_t input;
  Batch rows{};
  bool over = false;

  Portions(SortedRows s, graph::Names k, size_t i, const data::Schema& schema) : source(std::move(s)), key(std::move(k)), input(i), rows(without_place(Batch::empty(schema))) {}
  bool empty() const { return rows.num_rows() == 0; }
  int64_t last() const { return rows.num_rows() - 1; }
  void load() {
    auto more = source.next();
    if (!more) {
      over = true;
      return;
    }
    Batch next = without_place(*more);
    if (empty()) rows = std::move(next);
    else rows = Batch::concat(rows.schema(), std::vector<Batch>{rows, next});
  }
  // How many rows come before (or, if `with`, are at) the key of a row of `bound`.
  int64_t before(const Batch& bound, const graph::Names& names, int64_t row, bool with) const {
    const KeyComparison compare(rows, key, bound, names);
    int64_t low = 0, high = rows.num_rows();
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      const int k = compare(middle, row);
      if (k < 0 || (with && k == 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  Batch take(int64_t n) {
    Batch first = n == rows.num_rows() ? rows : rows.slice(0, n);
    rows = rows.slice(n, rows.num_rows() - n);
    return first;
  }
};

// Ranges are no groups: equal keys may lie in two of them.
std::vector<int64_t> Grouping::starts_of(const Batch& rows) const {
  if (op_.placement() == graph::KeyedOperator::Placement::kRange) return {0, rows.num_rows()};
  return data::group_starts(rows, op_.key());
}

Batch Grouping::whole(int64_t partition, std::vector<std::vector<StoredBlock>> blocks) const {
  std::vector<Batch> sides;
  for (size_t k = 0; k < blocks.size(); ++k) {
    const Batch rows = load_blocks(std::move(blocks[k]), inputs_[k].schema);
    const auto order = data::ordered_rows(rows, inputs_[k].order, rows.column(rows.num_columns() - 1).values<int64_t>());
    sides.push_back(without_place(rows).take(order));
    sides.back().origin = {partition, 0};
  }
  return sides.size() > 1 ? op_.join(sides[0], sides[1]) : op_.process(sides[0], starts_of(sides[0]));
}

void Grouping::stream(int64_t partition, std::vector<std::vector<StoredBlock>> blocks, uint64_t memory, const Resources& resources, const std::function<void(Batch)>& emit,
                      const std::function<void(const LargeGroup&)>& large) const {
  std::vector<std::unique_ptr<Portions>> sides;
  for (size_t k = 0; k < blocks.size(); ++k)
    sides.push_back(std::make_unique<Portions>(SortedRows(inputs_[k].schema, inputs_[k].order, inputs_[k].schema->fields().back().name, std::move(blocks[k]), memory / blocks.size() / 4, resources),
                                               op_.key_of(k), k, *inputs_[k].schema));
  if (sides.size() > 1) return stream_join(*sides[0], *sides[1], partition, resources.memory.limit_bytes(), emit, large);
  if (op_.takes_portions()) return stream_portions(*sides[0], partition, emit);
  stream_groups(*sides[0], partition, resources.memory.limit_bytes(), emit, large);
}

void Grouping::too_large(const Batch& rows, size_t input, uint64_t bytes, uint64_t budget) const {
  throw system_error("the rows of {} take {} and more; with a memory budget of {} they cannot be worked on together", key_text(rows, op_.key_of(input), rows.num_rows() - 1), format_bytes(bytes),
                     format_bytes(budget))
      .with_hint("raise --memory, or leave these rows out with filter");
}

// Each portion when it is known whether its last group goes on.
void Grouping::stream_portions(Portions& in, int64_t partition, const std::function<void(Batch)>& emit) const {
  std::shared_ptr<void> carry;
  in.load();
  while (!in.empty() || !in.over) {
    Batch rows = in.take(in.rows.num_rows());
    in.load();
    const bool unfinished = !in.empty() && rows.num_rows() > 0 && KeyComparison(rows, in.key, in.rows, in.key)(rows.num_rows() - 1, 0) == 0;
    rows.origin = {partition, 0};
    emit(op_.process_portion(rows, starts_of(rows), unfinished, carry));
  }
}

void Grouping::stream_groups(Portions& in, int64_t partition, uint64_t budget, const std::function<void(Batch)>& emit, const std::function<void(const LargeGroup&)>& large) const {
  std::vector<Batch> begun;  // the rows of the group that portions before this one ended in
  uint64_t bytes = 0, combined = 0, seen = 0;  // in hand, after the last combining, in all
  LargeGroup group;
  auto process = [&](Batch rows) {
    rows.origin = {partition, 0};
    emit(op_.process(rows, data::group_starts(rows, in.key)));
  };
  auto end_group = [&](Batch rest) {  // with the rows that complete it
    if (!begun.empty()) {
      group.rows += rest.num_rows();
      group.key = key_text(begun[0], in.key, 0);
      if (seen > budget / 8) large(group);
      begun.push_back(std::move(rest));
      rest = Batch::concat(begun[0].schema(), begun);
    }
    begun.clear(), bytes = combined = seen = 0, group = {};
    process(std::move(rest));
  };
  for (in.load(); !in.over; in.load()) {
    const int64_t last_start = in.before(in.rows, in.key, in.last(), false);
    if (last_start > 0) end_group(in.take(last_start));
    else if (!begun.empty() && KeyComparison(begun[0], in.key, in.rows, in.key)(0, 0) != 0) end_group(in.rows.slice(0, 0));
    Batch rest = in.take(in.rows.num_rows());
    bytes += rest.num_bytes(), seen += rest.num_bytes(), group.rows += rest.num_rows();
    begun.push_back(std::move(rest));
    if (op_.combines() && bytes > 2 * combined + data::kPieceBytes) {
      Batch all = Batch::concat(begun[0].schema(), begun);
      all.origin = {partition, 0};
      begun = {op_.combine(all, std::vector<int64_t>{0, all.num_rows()})};
      bytes = combined = begun[0].num_bytes();
    }
    if (bytes > budget) too_large(begun.back(), 0, bytes, budget);
  }
  if (!begun.empty()) {
    Batch rest = begun[0].slice(0, 0);
    end_group(std::move(rest));
  }
}

// Merges two sides. Keys before the last one in hand are complete. Where a key fills the left side, all right rows of it are held and
// the left ones meet them in portions.
void Grouping::stream_join(Portions& left, Portions& right, int64_t partition, uint64_t budget, const std::function<void(Batch)>& emit,
                           const std::function<void(const LargeGroup&)>& large) const {
  auto join = [&](Batch l, Batch r) {
    if (l.num_rows() + r.num_rows() == 0) return;
    l.origin = {partition, 0};
    emit(op_.join(l, r));
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
    const bool null_key = std::any_of(left.key.begin(), left.key.end(), [&](const auto& name) { return !left.rows.column(name).is_valid(0); });
    group.rows += l;
    group.key = key_text(left.rows, left.key, 0);
    join(left.take(l), right.rows.slice(0, null_key ? 0 : r));  // nulls meet nothing: the right ones wait until the left ones are through
    met = null_key ? 0 : r;
  }
}

}  // namespace throng::engine
