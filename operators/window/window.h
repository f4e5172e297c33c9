// operators/window: the time windows of each row.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Adds `window_start` and `window_end` (exclusive) by the event's own time, in the column's time zone: whole days begin at midnight, and
/// shorter windows are counted anew from there, so that one whose length does not divide the day ends at midnight.
/// `kind`: tumbling (every row in one window of `size`); sliding (a row for each window of `size` that begins every `slide` and holds
/// it, earliest first); session (rows of one `by` with pauses of at most `gap`: from the first row to the last one plus `gap`).
struct Window {
  std::string kind = "tumbling";
  Duration size{3'600'000'000};
  Duration slide{};
  Duration gap{1'800'000'000};
  std::string by = "user";
  std::string ts = "ts";

  static constexpr auto kOp = "window";
  static constexpr auto kSummary = "gives each row its time windows: tumbling, sliding or session";
  static auto fields() {
    return graph::fields(graph::field("kind", &Window::kind, "kind of window").one_of({"tumbling", "sliding", "session"}),
                         graph::field("size", &Window::size, "tumbling, sliding: length of a window"),
                         graph::field("slide", &Window::slide, "sliding: from one window's begin to the next; divides size"),
                         graph::field("gap", &Window::gap, "session: longest pause within one"),
                         graph::field("by", &Window::by, "session: column whose values own the sessions"),
                         graph::field("ts", &Window::ts, "time column"));
  }
};

}  // namespace throng::op
