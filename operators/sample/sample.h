// operators/sample: some of the rows.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Keeps some rows, in their order, chosen by seed and place (or user), never by rank or time. `rows` keeps exactly so many (all where there
/// are fewer); `fraction` keeps each row by itself (Bernoulli); with `by`, all rows of a `fraction` of its values, such as whole users.
struct Sample {
  double fraction = 0;
  int64_t rows = 0;
  std::string by;

  static constexpr auto kOp = "sample";
  static constexpr auto kSummary = "keeps a share of the rows, a number of them, or all rows of a share of the users";
  static auto fields() {
    return graph::fields(graph::field("fraction", &Sample::fraction, "share to keep").min(0).max(1),
                         graph::field("rows", &Sample::rows, "how many to keep, instead of a share").min(0),
                         graph::field("by", &Sample::by, "with fraction: column whose values are kept or left out as a whole"));
  }
};

}  // namespace throng::op
