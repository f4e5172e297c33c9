// What users took, in order, as numbers of a catalogue.
#pragma once
#include "framework/base/spill_arena.h"
#include "framework/comm/communicator.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/holdout_seen.h"

namespace throng::recommend {

/// One user of a partition; the arrays lie in an arena.
struct ItemSequence {
  int64_t first_row = 0;         ///< in the partition: where the user's rows begin
  uint64_t hash = 0;             ///< of the user
  std::span<const int32_t> items;  ///< of training rows, in order; items that are not in the catalogue are left out
  std::span<const float> values;   ///< what the user gave each, where there is a column of it
  int32_t validation = -1;       ///< the last of them, where it is set aside; no longer in `items`
  float validation_value = 0;
  bool held_out = false;         ///< there is a held-out row
  int32_t target = -1;           ///< its item; -1 where the catalogue does not have it
  std::span<const int32_t> held;  ///< items of all held-out rows, in order, that the catalogue has
  int64_t target_row = -1;
  std::vector<int32_t> history() const;  ///< all training items, the one set aside too
  std::vector<int32_t> all() const;      ///< and those held out
};

/// Of rows that name an item.
struct SplitSeen : graph::HoldoutSeen {
  int64_t users = 0;  ///< with held-out rows
  void add(const SplitSeen& other);
  /// Collective.
  void add_ranks(comm::Communicator& comm);
  /// "leave-one-out: the one held-out item of each 'user'", with the column's name for "user". `learned`: the training rows are those that were learned from.
  std::string text(const std::string& by, bool learned) const;
};

struct ItemColumns {
  std::string by, item;
  std::string value;  ///< a number; rows without one are left out. Empty: there is none
  bool validation = true;
};

/// True where the row names an item, and has a value if there is such a column.
bool counts(const ItemColumns& columns, const data::Batch& batch, int64_t row);
/// The text of an item.
std::string item_text(const data::Column& column, int64_t row);
/// Counts the items of training rows; the last of each user is not counted where it is set aside.
void count_items(const ItemColumns& columns, const data::Batch& batch, data::TextMap<data::ValueCount>& counts);
/// Rows come grouped by user, in order of time. Adds training rows of items that the catalogue does not have to `unknown`, and all to `split`.
std::span<const ItemSequence> read_sequences(const ItemColumns& columns, const data::Batch& batch, const data::Vocabulary& catalogue, SpillArena& arena, int64_t& unknown, SplitSeen& split);

}  // namespace throng::recommend
