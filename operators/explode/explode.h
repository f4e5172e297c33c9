// operators/explode: a row for each element of a list.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Turns each row into one row for each element of a list column, which then holds the element; the other columns are repeated. Rows whose
/// list is empty or null are dropped, or kept once with null where `outer`.
struct Explode {
  std::string column;
  std::string as;
  std::string position;
  bool outer = false;

  static constexpr auto kOp = "explode";
  static constexpr auto kSummary = "one row for each element of a list column";
  static auto fields() {
    return graph::fields(graph::field("column", &Explode::column, "list column").required(),
                         graph::field("as", &Explode::as, "name of the element's column; empty: replaces the list"),
                         graph::field("position", &Explode::position, "add a column of this name with the element's place, from 0"),
                         graph::field("outer", &Explode::outer, "keep rows without elements, with null"));
  }
};

}  // namespace throng::op
