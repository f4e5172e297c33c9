// operators/sessionize: events cut into sessions.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Cuts each user's events, in time order, where the pause is longer than `gap`, or where `max_length` is reached. Adds `session` (0, 1, ..
/// per user), `session_start`, `session_position` (0, 1, .. in the session). `summary: true` gives one row a session instead: the user,
/// `session`, `session_start`, `session_end`, `events`, `seconds`. Rows without user are dropped and counted.
struct Sessionize {
  std::string by = "user";
  std::string ts = "ts";
  Duration gap{1'800'000'000};
  Duration max_length{};
  bool summary = false;

  static constexpr auto kOp = "sessionize";
  static constexpr auto kSummary = "cuts each user's events into sessions by pauses";
  static auto fields() {
    return graph::fields(graph::field("by", &Sessionize::by, "column whose values own the sessions"),
                         graph::field("ts", &Sessionize::ts, "time column"),
                         graph::field("gap", &Sessionize::gap, "a longer pause begins a new session"),
                         graph::field("max_length", &Sessionize::max_length, "longest time from a session's first event; 0s: any"),
                         graph::field("summary", &Sessionize::summary, "one row for each session"));
  }
};

}  // namespace throng::op
