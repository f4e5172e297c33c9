// Rows encoded as numbers, in sequences, with what is to be predicted after each. Internal to train_sequence.
#pragma once
#include <cmath>

#include "framework/base/spill_arena.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/holdout_seen.h"
#include "operators/train_sequence/train_sequence.h"

namespace throng::op {

enum class Task { kCategory, kNumber, kEvent };

/// What the encoding has learned from training rows, or needs to know of the columns.
struct SequenceEncoding {
  Task task = Task::kCategory;
  std::string by, target, event;
  int64_t within_us = 0;
  bool gaps = true;
  double validation = 0;                             ///< share of users whose training rows are of use kValidation
  size_t recent = 0;                                 ///< recent distinct targets kept per row
  std::vector<std::string> categories, numbers;      ///< input columns
  std::vector<data::Vocabulary> vocabularies;        ///< one per category; value v is vocabulary index + 1, 0 is unknown
  std::vector<double> means, deviations;             ///< one per number, then one of the log gap
  data::Vocabulary classes;                          ///< of the target, for categories
  double target_mean = 0, target_deviation = 1;      ///< for numbers
  bool marked = false;                               ///< rows are held out by a column, not by user
  graph::HoldoutSeen holdout;
  int64_t last_training_us = INT64_MAX / 2, last_us = INT64_MAX / 2;  ///< not the largest: times before 1970 are subtracted

  size_t num_floats() const { return numbers.size() + (gaps ? 1 : 0); }
};

/// Text of a category column's value: numbers and bools as written.
std::string category_text(const data::Column& column, int64_t row);

/// Rows of one partition, in an arena. Sequence s is rows [starts[s], starts[s + 1]).
struct EncodedRows {
  enum Use : uint8_t { kNone = 0, kTrain = 1, kHoldout = 2, kValidation = 3 };
  std::span<const size_t> starts;
  std::vector<std::span<int32_t>> categories;  ///< per category column
  std::span<float> floats;                     ///< (rows, num_floats)
  std::span<uint8_t> use;                      ///< of the prediction made after this row
  std::span<int32_t> target_class;             ///< of the next row; -1: not among the classes
  std::span<int32_t> current_class;            ///< of this row's target; -1: not among the classes
  std::span<int32_t> recent;                   ///< (rows, recent): distinct target values up to this row, newest first; -1: fewer
  std::span<float> target_number;              ///< standardised number, or 0/1 for events
  std::span<float> current_number;
  size_t num_rows() const { return use.size(); }
  size_t num_sequences() const { return starts.size() - 1; }
  /// Calls visit(span) with each array that has as many numbers for each row.
  template <class Visit>
  void for_each_array(const Visit& visit) const {
    for (const auto& codes : categories) visit(codes);
    visit(floats), visit(use), visit(target_class), visit(recent), visit(target_number);
  }
};

/// Encodes a partition whose rows are grouped by user and ordered by time. `unseen` counts values no vocabulary knows.
EncodedRows encode_rows(const SequenceEncoding& encoding, const data::Batch& batch, uint64_t holdout_seed, SpillArena& arena, std::map<std::string, int64_t>* unseen);

/// 1 for rows that may be learned from: by `holdout`, or without it by user.
std::vector<uint8_t> training_mask(const SequenceEncoding& encoding, const data::Batch& batch, uint64_t holdout_seed);

}  // namespace throng::op
