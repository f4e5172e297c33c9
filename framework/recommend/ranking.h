// Ranks and what is made of them.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "framework/base/random.h"
#include "framework/comm/communicator.h"

namespace throng::recommend {

/// 1 + how many items score more than the target, or the same; `seen` are not counted, but for the target itself. 0 where the target is negative: not in the catalogue.
int64_t rank_of(std::span<const float> scores, int32_t target, std::span<const int32_t> seen);
/// The same among `n` items only (or as many as there are), drawn evenly without any twice from those that are not in `taken`, and are not the target.
int64_t rank_among(std::span<const float> scores, int32_t target, std::span<const int32_t> taken, size_t n, Random random);
/// The k best items, ties by number; `seen` are left out.
std::vector<int32_t> best_items(std::span<const float> scores, size_t k, std::span<const int32_t> seen);

/// How often each rank came up: all that the measures need, in whole numbers, so that it does not matter who counted. Rank 0: not in the catalogue.
class RankCounts {
 public:
  void add(int64_t rank) { ++counts_[rank]; }
  /// Collective. The sum of all `parts` of all ranks.
  static RankCounts total(comm::Communicator& comm, std::span<const RankCounts> parts);
  /// HR@k (is the rank at most k), NDCG@k (1 / log2(rank + 1), where it is) for k 1, 5, 10 and 20, and MRR (1 / rank), as means over users. With `bootstrap` samples of
  /// as many users, also the 95 % intervals (percentiles; Efron, 1979) of HR@10, NDCG@10 and MRR.
  nlohmann::json result(int64_t bootstrap, uint64_t seed) const;
  double ndcg10() const;
  bool empty() const { return counts_.empty(); }
  /// Targets that are in the catalogue.
  int64_t known() const;

 private:
  std::map<int64_t, int64_t> counts_;
};

}  // namespace throng::recommend
