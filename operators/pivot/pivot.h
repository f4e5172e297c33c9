// operators/pivot: values of a column become columns.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// One row for each group of `index`, with a column for each of `values` of column `column`: the aggregate of the group's rows that hold it
/// (functions as in `aggregate`). `values` must be listed, since a step's columns are known before it runs. Rows are in order of the hash
/// partition of their group, then ascending.
struct Pivot {
  std::vector<std::string> index;
  std::string column = "action";
  std::vector<std::string> values;
  std::string aggregate = "count()";
  std::string prefix;
  std::string other;

  static constexpr auto kOp = "pivot";
  static constexpr auto kSummary = "turns values of a column into columns, with an aggregate in each cell";
  static auto fields() {
    return graph::fields(graph::field("index", &Pivot::index, "columns that stay rows").required(),
                         graph::field("column", &Pivot::column, "column whose values become columns"),
                         graph::field("values", &Pivot::values, "which values").required(),
                         graph::field("aggregate", &Pivot::aggregate, "what stands in a cell"),
                         graph::field("prefix", &Pivot::prefix, "put before the values to name the columns"),
                         graph::field("other", &Pivot::other, "add a column of this name for rows with any other value; empty: leave them out"));
  }
};

}  // namespace throng::op
