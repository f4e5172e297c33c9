// operators/distinct: rows without repeats.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps one row of those that agree in the columns `on` (all columns where it is empty): the first of the dataset, or with `keep: last`
/// the last. Repeats within a partition are dropped before rows travel. Nulls agree with nulls. Rows are in order of the hash partition
/// of what they agree in, then ascending.
struct Distinct {
  std::vector<std::string> on;
  std::string keep = "first";

  static constexpr auto kOp = "distinct";
  static constexpr auto kSummary = "keeps one of the rows that agree in all or some columns";
  static auto fields() {
    return graph::fields(graph::field("on", &Distinct::on, "columns that tell rows apart; empty: all"),
                         graph::field("keep", &Distinct::keep, "which of the rows, by their place in the input").one_of({"first", "last"}));
  }
};

}  // namespace throng::op
