#include "framework/engine/grouping.h"

#include <algorithm>

#include "framework/base/units.h"
#include "framework/data/groups.h"
#include "framework/data/row_text.h"
#include "framework/engine/portions.h"

namespace throng::engine {

using data::Batch;

std::string key_text(const Batch& rows, const graph::Names& names, int64_t row) {
  const Batch keys = rows.slice(row, 1).project(names);
  return names.empty() ? "all rows" : data::row_as_json(keys, 0);
}

// Ranges are no groups: equal keys may lie in two of them.
std::vector<int64_t> Grouping::starts_of(const Batch& rows) const {
  if (op_.placement() == graph::KeyedOperator::Placement::kRange) return {0, rows.num_rows()};
  return data::group_starts(rows, op_.key());
}

// States of the same groups from many pieces: fewer rows are left to be sorted.
std::optional<Batch> Grouping::combined(const Batch& rows) const {
  if (!op_.combines_unsorted() || op_.key().empty()) return {};
  const auto groups = data::Groups::of(rows, op_.key());
  if (int64_t(groups.size()) > rows.num_rows() / 2) return {};
  const Batch few = op_.combine_unsorted(without_place(rows), groups);
  return few.take(data::ordered_rows(few, inputs_[0].order));
}

Batch Grouping::whole(int64_t partition, std::vector<std::vector<StoredBlock>> blocks) const {
  std::vector<Batch> sides;
  for (size_t k = 0; k < blocks.size(); ++k) {
    const Batch rows = load_blocks(std::move(blocks[k]), inputs_[k].schema);
    if (blocks.size() == 1)
      if (auto few = combined(rows)) {
        few->origin = {partition, 0};
        return op_.process(*few, starts_of(*few));
      }
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
  if (sides.size() > 1) return stream_join(*sides[0], *sides[1], partition, resources, emit, large);
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

}  // namespace throng::engine
