// operators/sequences: events to ordered sequences per user.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Orders events by user and time and numbers them: adds `sequence` (0, 1, .. per user; cut where the gap exceeds
/// `session_gap`), `position` within it, and `gap`, the seconds since the event before (0 for the first). Rows stay flat.
struct Sequences {
  std::string by = "user";
  Duration session_gap{};
  int64_t min_length = 1;
  int64_t max_length = 0;

  static constexpr auto kOp = "sequences";
  static constexpr auto kSummary = "events to ordered sequences per user, with time gaps and session cuts";
  static auto fields() {
    return graph::fields(graph::field("by", &Sequences::by, "column whose values own the sequences"),
                         graph::field("session_gap", &Sequences::session_gap, "begin a new sequence after a pause of more than this; 0s: never"),
                         graph::field("min_length", &Sequences::min_length, "drop shorter sequences").min(1),
                         graph::field("max_length", &Sequences::max_length, "keep only the newest events of longer sequences; 0: all").min(0));
  }
};

}  // namespace throng::op
