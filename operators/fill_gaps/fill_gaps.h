// operators/fill_gaps: a row for each time that a key lacks.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Completes the series of each key: adds a row for each time of a regular grid at which the key has none. Grid times are the window
/// starts of length `every` in the time column's zone, as `window` gives them, from `start` up to but not including `end`. Where one of
/// them is not given, `range` says what stands for it: all: the least (greatest) time of the whole input; key: of the key itself.
/// An added row has its key, its time, and in the other columns what `fill` says, by column: the value itself (0), or previous (the
/// value of the row before it in its key, null where there is none); null where it says nothing. Rows that are there stay as they
/// are, also several of one time; rows without a time, and those before `start` or from `end` on, are dropped and counted; one
/// that lies off the grid is an error. Without `by` there is one series, which has the whole grid even where no row is left, as long as
/// `start` and `end` are given.
/// Rows are in order of the hash partition of their key, then ascending by key and time.
struct FillGaps {
  std::vector<std::string> by;
  std::string ts = "ts";
  Duration every{};
  std::string start, end;
  std::string range = "all";
  graph::NameMap fill;

  static constexpr auto kOp = "fill_gaps";
  static constexpr auto kSummary = "adds a row for each time of a regular grid that a key lacks";
  static auto fields() {
    return graph::fields(graph::field("by", &FillGaps::by, "columns of the key; empty: one series"),
                         graph::field("ts", &FillGaps::ts, "time column; its times lie on the grid, such as window_start or date_trunc('hour', ts)"),
                         graph::field("every", &FillGaps::every, "step of the grid; whole days begin at midnight of the time column's zone").required(),
                         graph::field("start", &FillGaps::start, "first time of the grid, such as 2024-01-01; empty: the data's, see range"),
                         graph::field("end", &FillGaps::end, "the grid ends before this time; empty: with the data's last, see range"),
                         graph::field("range", &FillGaps::range, "where start or end is empty: all: least and greatest time of all keys; key: the key's own").one_of({"all", "key"}),
                         graph::field("fill", &FillGaps::fill, "what an added row has, by column: the value itself, or previous, such as {n: 0, price: previous}; null otherwise"));
  }
};

}  // namespace throng::op
