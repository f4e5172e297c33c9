// Ranks and what is made of them.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "framework/base/random.h"
#include "framework/comm/communicator.h"

namespace throng::recommend {

/// What the scores of one user come to: they are seen in stretches of items, from the first item on, so that nobody has them all.
class ScoresSeen {
 public:
  /// Looks for the rank of `target` (negative: not in the catalogue), whose score is `own`, and for the `k` best items. `left_out` are neither counted, but for the target itself, nor among the best.
  ScoresSeen(int32_t target, float own, std::span<const int32_t> left_out, size_t k);
  /// The rank is one among these items, in order, and the target.
  void rank_among(std::vector<int32_t> items) { among_ = std::move(items), ranked_among_ = true; }

  /// Scores of items from `first` on, where the last stretch ended.
  void see(size_t first, std::span<const float> scores);

  /// 1 + how many items score more than the target, or the same; 0 where it is not in the catalogue.
  int64_t rank() const { return target_ < 0 ? 0 : 1 + better_; }
  /// The best items, ties by number.
  std::vector<int32_t> best() const;

 private:
  struct Item {
    float score;
    int32_t item;
    bool operator<(const Item& other) const { return std::pair(-score, item) < std::pair(-other.score, other.item); }
  };
  int32_t target_;
  float own_;
  size_t k_;
  std::vector<int32_t> left_out_, among_;  // in order
  bool ranked_among_ = false;
  size_t left_out_seen_ = 0, among_seen_ = 0;
  int64_t better_ = 0;
  std::vector<Item> best_;  // a heap, the worst on top
};

/// `n` of a catalogue's items (or as many as there are), drawn evenly without any twice from those that are not in `taken`, and are not the target; in order.
std::vector<int32_t> draw_others(size_t items, int32_t target, std::span<const int32_t> taken, size_t n, Random random);

/// How often each rank came up: all that the measures need, in whole numbers, so that it does not matter who counted. Rank 0: not in the catalogue.
class RankCounts {
 public:
  void add(int64_t rank) { ++counts_[rank]; }
  /// Collective. The sum of all `parts` of all ranks.
  static RankCounts total(comm::Communicator& comm, std::span<const RankCounts> parts);
  /// HR@k (is the rank at most k), NDCG@k (1 / log2(rank + 1), where it is) for the k of `cutoffs`, and MRR (1 / rank), as means over users. With `bootstrap` samples of
  /// as many users, also their 95 % intervals (percentiles; Efron, 1979).
  nlohmann::json result(int64_t bootstrap, uint64_t seed, const std::vector<int64_t>& cutoffs = {1, 5, 10, 20}) const;
  double ndcg10() const;
  bool empty() const { return counts_.empty(); }
  /// Targets that are in the catalogue.
  int64_t known() const;

 private:
  std::map<int64_t, int64_t> counts_;
};

}  // namespace throng::recommend
