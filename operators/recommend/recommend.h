// operators/recommend: the best items for each user, by what a recommender of the job has learned.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Inputs: rows of users and items in time, and a step that is a recommender (sasrec, gru4rec, bert4rec, item_knn, popular, matrix_factorization without ratings). Gives each user of the rows the `k` best
/// items after all of the user's rows. Where rows are held out, each user's first held-out item is ranked, too.
struct Recommend {
  int64_t k = 0;
  std::string filter_seen = "as learned";

  static constexpr auto kOp = "recommend";
  static constexpr auto kSummary = "recommends items to the users of other rows, by what a step of the job has learned";
  static constexpr bool kReplayed = true;
  static constexpr size_t kMinInputs = 2, kMaxInputs = 2;
  static auto fields() {
    return graph::fields(graph::field("k", &Recommend::k, "items for each user; 0: as many as the recommender was asked for").min(0).max(1000),
                         graph::field("filter_seen", &Recommend::filter_seen, "yes: no items that the user took; as learned: as the recommender was asked").one_of({"as learned", "yes", "no"}));
  }
};

}  // namespace throng::op
