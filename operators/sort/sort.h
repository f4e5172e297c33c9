// operators/sort: all rows in order.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Puts the whole dataset in order of the columns `by`; a column with `-` before it falls. Ties keep the input's order. Nulls come first
/// in rising order, last in falling (as in Spark); text is ordered by bytes, NaN above all numbers. A sample of the input cuts the order
/// in ranges, one for each partition, and a value that fills many ranges is cut too.
struct Sort {
  std::vector<std::string> by;

  static constexpr auto kOp = "sort";
  static constexpr auto kSummary = "puts the whole dataset in order of some columns";
  static auto fields() { return graph::fields(graph::field("by", &Sort::by, "columns, the first counts most; -column falls").required()); }
};

}  // namespace throng::op
