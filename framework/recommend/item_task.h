// The parameters that all recommenders have, and what they mean.
#pragma once
#include "framework/graph/params.h"

namespace throng::recommend {

/// What all recommenders are asked, and how they are judged.
///
/// A user's first held-out item (`split`, by: last gives each user's newest) is ranked against the whole catalogue, which is the items of the training rows, or
/// against `rank_against` items that the user never took, drawn evenly. Equal scores count against it, as does an item that no training row has. The result has
/// HR@k, NDCG@k (for the k of `cutoffs`) and MRR with their 95 % intervals by bootstrap over users, and names the protocol. Rows of the output: a user, the held-out item and its rank,
/// and the best items now.
/// `throng apply` recommends to the users of new rows, by their items up to now, with what was learned.
struct ItemTask {
  std::string by = "user";
  std::string item = "item";
  int64_t min_count = 1;
  bool validation = true;
  bool filter_seen = true;
  int64_t rank_against = 0;
  int64_t bootstrap = 1000;
  std::vector<int64_t> cutoffs{1, 5, 10, 20};
  int64_t k = 10;
};

template <class P>
auto item_columns() {
  return graph::fields(graph::field("by", &P::by, "column whose values own the sequences: a user, or a session"), graph::field("item", &P::item, "text or whole numbers: what is taken"));
}
template <class P>
auto item_judging() {
  return graph::fields(graph::field("min_count", &P::min_count, "rarer items are left out of the catalogue").min(1),
                       graph::field("validation", &P::validation, "each user's last training item is not learned from; models choose their epoch by it"),
                       graph::field("filter_seen", &P::filter_seen, "items that the user took before are neither ranked nor recommended"),
                       graph::field("rank_against", &P::rank_against, "items that the user never took, drawn evenly, that the held-out one is ranked against; 0: the whole catalogue").min(0),
                       graph::field("bootstrap", &P::bootstrap, "samples of users for the 95 % intervals of the result; 0: none").min(0).max(100000),
                       graph::field("cutoffs", &P::cutoffs, "the k of HR and NDCG in the result, rising"),
                       graph::field("k", &P::k, "items recommended to each user").min(1).max(1000));
}

}  // namespace throng::recommend
