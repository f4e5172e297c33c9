// operators/limit: the first rows.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps `rows` rows of the dataset from row `offset` on, in its order; after `sort` that is the top of the order.
struct Limit {
  int64_t rows = 0;
  int64_t offset = 0;

  static constexpr auto kOp = "limit";
  static constexpr auto kSummary = "keeps the first rows of the dataset";
  static auto fields() {
    return graph::fields(graph::field("rows", &Limit::rows, "how many").required().min(0), graph::field("offset", &Limit::offset, "rows to leave out before them").min(0));
  }
};

}  // namespace throng::op
