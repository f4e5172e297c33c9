// An operator of one's own: how loud a text is.
#pragma once
#include "framework/graph/params.h"

namespace mine {

/// Adds `emphasis`, the share of `mark` among the characters of a text column. Row-local.
struct Emphasis {
  std::string column = "text";
  std::string mark = "!";

  static constexpr auto kOp = "emphasis";
  static constexpr auto kSummary = "says how loud a text is";
  static auto fields() {
    namespace graph = throng::graph;
    return graph::fields(graph::field("column", &Emphasis::column, "text column to look at"),
                         graph::field("mark", &Emphasis::mark, "the mark to count"));
  }
};

}  // namespace mine
