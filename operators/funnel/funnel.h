// operators/funnel: how far users come.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Counts how many users pass a chain of steps in time order, the whole chain within `within` of its first step; other events may lie in
/// between, one event is one step, and a user may begin anew at any time (as ClickHouse's windowFunnel). One row a step: `step` (1, 2, ..),
/// `name`, `users` that came so far, `share` of those of the first step, `share_of_previous`, `median_seconds` from the first step
/// to this one (within 1 %, at the first time a user came so far).
struct Funnel {
  graph::NameMap steps;
  std::string by = "user";
  std::string ts = "ts";
  Duration within{86'400'000'000};

  static constexpr auto kOp = "funnel";
  static constexpr auto kSummary = "counts how many users pass a chain of steps, and how fast";
  static auto fields() {
    return graph::fields(graph::field("steps", &Funnel::steps, "name: condition, in order, such as {saw: \"action == 'view'\", bought: \"action == 'buy'\"}").required(),
                         graph::field("by", &Funnel::by, "column that names the users"), graph::field("ts", &Funnel::ts, "time column"),
                         graph::field("within", &Funnel::within, "longest time from the first step to the last; 0s: any"));
  }
};

}  // namespace throng::op
