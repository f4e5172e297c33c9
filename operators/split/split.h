// operators/split: marks the rows that no operator may learn from.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Adds the bool column `holdout`. By time: the newest `fraction` of the rows (or those from `at` on); by user: all rows of
/// a `fraction` of the users, by row: a `fraction` of the rows, both chosen by hash, or with `folds` one of so many parts of them; by last: the newest row of each user (leave-one-out; rows then come together by user). Operators that learn fit on rows where it is false, and evaluate on the others.
struct Split {
  std::string by = "time";
  double fraction = 0.2;
  int folds = 0;
  int fold = 0;
  int64_t fold_seed = 1;
  std::string at;
  std::string user = "user";

  static constexpr auto kOp = "split";
  static constexpr auto kSummary = "marks held-out rows, by time or by user; operators that learn keep off them";
  static constexpr bool kLearns = true;
  static auto fields() {
    return graph::fields(graph::field("by", &Split::by, "time: the newest rows; user: all rows of some users; row: any rows; last: the newest row of each user").one_of({"time", "user", "row", "last"}),
                         graph::field("fraction", &Split::fraction, "share of rows (time, row) or users (user) to hold out").min(0).max(0.95),
                         graph::field("folds", &Split::folds, "by user and row: hold out one of so many equal parts instead of a fraction (cross-validation); 0: a fraction").min(0).max(1000),
                         graph::field("fold", &Split::fold, "which of the `folds` parts is held out, from 0").min(0),
                         graph::field("fold_seed", &Split::fold_seed, "steps with the same one cut the same folds, whatever the run's seed").min(0),
                         graph::field("at", &Split::at, "by time: hold out rows from this time on, instead of a fraction"),
                         graph::field("user", &Split::user, "by user and last: the column that names the user"));
  }
};

}  // namespace throng::op
