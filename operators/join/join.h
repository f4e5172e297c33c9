// operators/join: rows of two inputs that belong together.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Joins the first input (left) with the second (right) on equal values of `on`. A key that is null matches nothing, as in SQL.
/// `how`: inner; left, right, full (rows without a match keep nulls in the other's columns); semi (left rows that have a match, once);
/// anti (left rows that have none); asof (each left row with the newest right row of its key whose `ts` is not later; rows without
/// one are kept with nulls). The result has the key columns once, the left columns, then the right columns; where both have a
/// name, the right one gets `suffix`. Shuffled, rows are in order of the hash partition of their key, then of the key, (asof) time, left place, right place.
/// Broadcast, they keep the left input's order. `auto` is a broadcast where the right input takes at most 8 MiB with all its columns: by a sample of
/// fixed size, where that leaves no doubt, and by its number of rows when it is there. Since the order follows from the choice, the choice follows from the data alone.
struct Join {
  std::vector<std::string> on;
  std::vector<std::string> right_on;
  std::string how = "inner";
  std::string suffix = "_right";
  std::string ts = "ts";
  Duration tolerance{};
  std::string strategy = "auto";

  static constexpr auto kOp = "join";
  static constexpr auto kSummary = "joins two inputs on equal keys: inner, left, right, full, semi, anti, as-of";
  static constexpr size_t kMinInputs = 2, kMaxInputs = 2;
  static auto fields() {
    return graph::fields(graph::field("on", &Join::on, "key columns of the left input").required(),
                         graph::field("right_on", &Join::right_on, "key columns of the right input, in the same order; empty: as the left"),
                         graph::field("how", &Join::how, "kind of join").one_of({"inner", "left", "right", "full", "semi", "anti", "asof"}),
                         graph::field("suffix", &Join::suffix, "added to right columns whose name the left has too"),
                         graph::field("ts", &Join::ts, "asof: time column of both inputs"),
                         graph::field("tolerance", &Join::tolerance, "asof: how old a match may be; 0s: any age"),
                         graph::field("strategy", &Join::strategy, "shuffle: rows of both inputs travel to their key; broadcast: each rank holds all of the right input (inner, left, semi, anti), and rows keep the left one's order; auto: broadcast where the right input takes at most 8 MiB")
                             .one_of({"auto", "shuffle", "broadcast"}));
  }
};

}  // namespace throng::op
