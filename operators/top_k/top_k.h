// operators/top_k: the first rows of an order, of all or of each group.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps the first `k` rows in the order of `order` (a column with `-` before it falls; ties by place in the input), of each group of `by`
/// or of the whole dataset. Adds `rank`, from 1. Each partition's own first k travel, no more. Rows are in the order of their group and rank.
struct TopK {
  int64_t k = 0;
  std::vector<std::string> order, by;

  static constexpr auto kOp = "top_k";
  static constexpr auto kSummary = "keeps the first k rows of an order, of each group or of all";
  static auto fields() {
    return graph::fields(graph::field("k", &TopK::k, "rows to keep").required().min(1),
                         graph::field("order", &TopK::order, "columns, the first counts most; -column falls").required(),
                         graph::field("by", &TopK::by, "columns of the groups; empty: the whole dataset is one"));
  }
};

}  // namespace throng::op
