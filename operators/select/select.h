// operators/select: keeps, renames and computes columns.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps only the columns named in `columns` and those computed in `as`, in that order.
struct Select {
  std::vector<std::string> columns;
  graph::NameMap as;

  static constexpr auto kOp = "select";
  static constexpr auto kSummary = "keeps, renames and computes columns";
  static auto fields() {
    return graph::fields(graph::field("columns", &Select::columns, "columns to keep"),
                         graph::field("as", &Select::as, "name: expression, such as {buyer: user, day: date_trunc('day', ts)}"));
  }
};

}  // namespace throng::op
