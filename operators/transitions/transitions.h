// operators/transitions: what follows what.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Counts, for each user's events in time order, which value follows which. One row a pair: [`segment`,] `from`, `to`, `count`, `users`,
/// `share` of all that follows `from` (in its segment). Rows without user, time or value are passed over; a pair
/// whose earlier row has no segment is not counted. Ascending by segment, from, to.
struct Transitions {
  std::string value = "action";
  std::string by = "user";
  std::string ts = "ts";
  std::string segment;
  Duration within{};
  bool repeats = true;

  static constexpr auto kOp = "transitions";
  static constexpr auto kSummary = "counts which action follows which, for each segment";
  static auto fields() {
    return graph::fields(graph::field("value", &Transitions::value, "column whose values follow each other"),
                         graph::field("by", &Transitions::by, "column whose values own the sequences"),
                         graph::field("ts", &Transitions::ts, "time column"),
                         graph::field("segment", &Transitions::segment, "column that cuts the counts, taken from the earlier row; empty: none"),
                         graph::field("within", &Transitions::within, "count a pair only up to this pause; 0s: any"),
                         graph::field("repeats", &Transitions::repeats, "count a value that follows itself"));
  }
};

}  // namespace throng::op
