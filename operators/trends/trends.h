// operators/trends: what rises and when.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Counts rows and distinct users by key and time window. A row counts once for each distinct key it holds.
/// growth = (count - previous) / max(previous, 1). z = (count - mean) / max(deviation, sqrt(mean), 1), with mean and population
/// deviation over the key's own earlier windows (the newest `history` of them; windows without a row count 0, from the
/// first window of the data on); null in the first window. Output `risers`: the best window of each
/// key that has `min_history` windows before it (the data's first window is seldom whole), highest z first.
struct Trends {
  std::string by;
  Duration window{86'400'000'000};
  std::string user = "user";
  int64_t min_count = 5;
  int64_t history = 0;
  int64_t min_history = 2;
  int64_t top = 100;

  static constexpr auto kOp = "trends";
  static constexpr auto kSummary = "counts by window and key, growth, z-score against the key's own history, top risers";
  static auto fields() {
    return graph::fields(graph::field("by", &Trends::by, "key column, single or list; empty: tokens where there are any, else item, else action"),
                         graph::field("window", &Trends::window, "length of a window; whole days begin at midnight of ts's time zone"),
                         graph::field("user", &Trends::user, "column whose distinct values are counted; ignored where it is missing"),
                         graph::field("min_count", &Trends::min_count, "leave out keys with fewer rows in all").min(1),
                         graph::field("history", &Trends::history, "earlier windows to compare with; 0: all").min(0),
                         graph::field("min_history", &Trends::min_history, "a riser needs so many windows of the data before it").min(1),
                         graph::field("top", &Trends::top, "how many risers to list").min(1).max(100000));
  }
  static constexpr size_t kMaxInputs = 1;
};

}  // namespace throng::op
