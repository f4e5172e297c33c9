// operators/clean: missing values, invalid rows, duplicates, scales of numbers.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Drops rows that lack required values, break a condition or repeat an earlier row; fills what is missing; scales numbers.
/// Means and ranges are learned from training rows only, and saved.
struct Clean {
  std::vector<std::string> required;
  graph::NameMap fill;
  std::string valid;
  std::string duplicates = "drop";
  std::vector<std::string> duplicate_key;
  graph::NameMap normalize;

  static constexpr auto kOp = "clean";
  static constexpr auto kSummary = "drops invalid and repeated rows, fills missing values, scales numbers";
  static constexpr bool kLearns = true;
  static auto fields() {
    return graph::fields(
        graph::field("required", &Clean::required, "rows without a value in one of these columns are dropped"),
        graph::field("fill", &Clean::fill, "what stands for a missing value, by column: mean, min, max, or the value itself"),
        graph::field("valid", &Clean::valid, "rows where this condition is not true are dropped, such as value >= 0"),
        graph::field("duplicates", &Clean::duplicates, "drop: keep the first of equal rows; keep: keep all").one_of({"drop", "keep"}),
        graph::field("duplicate_key", &Clean::duplicate_key, "columns that make rows equal; empty: all columns"),
        graph::field("normalize", &Clean::normalize, "scale by column: zscore, minmax, log1p; the column becomes float64"));
  }
};

}  // namespace throng::op
