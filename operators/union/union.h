// operators/union: inputs one after the other.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// All rows of the inputs, in the order in which they are named; repeats are kept (SQL's UNION ALL; `distinct` drops them). Columns go by
/// name. `columns: same` (every input has the same columns and types), `all` (nulls where an input lacks one) or `common`.
struct Union {
  std::string columns = "same";
  std::string source;

  static constexpr auto kOp = "union";
  static constexpr auto kSummary = "puts the rows of several inputs one after the other";
  static constexpr size_t kMinInputs = 2, kMaxInputs = 64;
  static auto fields() {
    return graph::fields(graph::field("columns", &Union::columns, "what to do where inputs have different columns").one_of({"same", "all", "common"}),
                         graph::field("source", &Union::source, "add a column of this name with the number of the input (0, 1, ..)"));
  }
};

}  // namespace throng::op
