// operators/filter: keeps the rows where a condition is true.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps the rows where `where` is true; rows where it is null are dropped, as in SQL.
struct Filter {
  std::string where;

  static constexpr auto kOp = "filter";
  static constexpr auto kSummary = "keeps the rows where a condition is true";
  static auto fields() {
    return graph::fields(graph::field("where", &Filter::where, "condition, such as action == 'buy' and value > 10").required());
  }
};

}  // namespace throng::op
