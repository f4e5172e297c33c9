#include "framework/recommend/item_sequences.h"

#include <algorithm>

namespace throng::recommend {
namespace {

// Calls visit(first row, end row) for each user.
template <class Visit>
void for_each_user(const ItemColumns& columns, const data::Batch& batch, const Visit& visit) {
  const auto& by = batch.column(columns.by);
  for (int64_t first = 0, end; first < batch.num_rows(); first = end) {
    for (end = first + 1; end < batch.num_rows() && data::Column::compare(by, first, by, end) == 0;) ++end;
    if (by.is_valid(first)) visit(first, end);
  }
}

// The last training row that counts, if it is to be set aside: users with one or two items keep them.
int64_t row_aside(const ItemColumns& columns, const data::Batch& batch, const std::vector<uint8_t>& train, int64_t first, int64_t end) {
  if (!columns.validation) return -1;
  int64_t last = -1, count = 0;
  for (int64_t r = first; r < end; ++r)
    if (train[size_t(r)] && counts(columns, batch, r)) last = r, ++count;
  return count >= 3 ? last : -1;
}

}  // namespace

std::vector<int32_t> ItemSequence::history() const {
  std::vector<int32_t> all(items.begin(), items.end());
  if (validation >= 0) all.push_back(validation);
  return all;
}

std::vector<int32_t> ItemSequence::all() const {
  std::vector<int32_t> items = history();
  items.insert(items.end(), held.begin(), held.end());
  return items;
}

void SplitSeen::add(const SplitSeen& other) {
  HoldoutSeen::add(other), users += other.users;
}

void SplitSeen::add_ranks(comm::Communicator& comm) {
  HoldoutSeen::add_ranks(comm), users = comm.allreduce(users);
}

std::string SplitSeen::text(const std::string& by, bool learned) const {
  if (rows == 0) return fmt::format("no '{}' has a held-out item", by);
  std::string text = rows == users ? fmt::format("leave-one-out: the one held-out item of each '{}'", by) : fmt::format("the first held-out item of each '{}', which have {:.1f} on average", by, double(rows) / double(std::max<int64_t>(1, users)));
  if (learned) text += when();
  return text;
}

bool counts(const ItemColumns& columns, const data::Batch& batch, int64_t row) {
  return batch.column(columns.item).is_valid(row) && (columns.value.empty() || batch.column(columns.value).is_valid(row));
}

std::string item_text(const data::Column& column, int64_t row) {
  return column.type() == data::Type::kString ? std::string(column.string(row)) : std::to_string(column.as_int64(row));
}

void count_items(const ItemColumns& columns, const data::Batch& batch, data::TextMap<data::ValueCount>& into) {
  const auto train = graph::training_rows(batch);
  const auto& item = batch.column(columns.item);
  for_each_user(columns, batch, [&](int64_t first, int64_t end) {
    const int64_t aside = row_aside(columns, batch, train, first, end);
    for (int64_t r = first; r < end; ++r)
      if (train[size_t(r)] && counts(columns, batch, r)) into[item_text(item, r)].count += r != aside;
  });
}

std::span<const ItemSequence> read_sequences(const ItemColumns& columns, const data::Batch& batch, const data::Vocabulary& catalogue, SpillArena& arena, int64_t& unknown, SplitSeen& split) {
  const auto train = graph::training_rows(batch);
  const auto& item = batch.column(columns.item);
  const auto hashes = batch.hash_rows({columns.by});
  const auto ts = batch.column("ts").values<int64_t>();
  std::vector<ItemSequence> sequences;
  std::vector<int32_t> items, held;
  std::vector<float> values;
  for_each_user(columns, batch, [&](int64_t first, int64_t end) {
    ItemSequence s;
    s.first_row = first, s.hash = hashes[size_t(first)];
    items.clear(), held.clear(), values.clear();
    const int64_t aside = row_aside(columns, batch, train, first, end);
    for (int64_t r = first; r < end; ++r) {
      if (!counts(columns, batch, r)) continue;
      const int32_t id = catalogue.find(item_text(item, r));
      split.see(train[size_t(r)], batch.column("ts").is_valid(r) ? std::optional(ts[size_t(r)]) : std::nullopt);
      split.users += !train[size_t(r)] && !s.held_out;
      if (!train[size_t(r)]) {
        if (!s.held_out) s.held_out = true, s.target = id, s.target_row = r;
        if (id >= 0) held.push_back(id);
      } else if (r == aside) {
        s.validation = id;
        if (!columns.value.empty()) s.validation_value = float(batch.column(columns.value).as_double(r));
      } else if (id >= 0) {
        items.push_back(id);
        if (!columns.value.empty()) values.push_back(float(batch.column(columns.value).as_double(r)));
      } else {
        ++unknown;
      }
    }
    s.items = arena.keep(items), s.held = arena.keep(held), s.values = arena.keep(values);
    sequences.push_back(s);
  });
  return arena.keep(sequences);
}

}  // namespace throng::recommend
