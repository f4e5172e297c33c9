// Ranks and what is made of them. Internal to next_item.
#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

namespace throng::op {

/// 1 + how many items score more than the target, or the same; `seen` are not counted, but for the target itself. 0 where the target is negative: not in the catalogue.
int64_t rank_of(std::span<const float> scores, int32_t target, std::span<const int32_t> seen);
/// The k best items, ties by number; `seen` are left out.
std::vector<int32_t> best_items(std::span<const float> scores, size_t k, std::span<const int32_t> seen);

/// Sums over users: HR@k (is the rank at most k), NDCG@k (1 / log2(rank + 1), where it is) for k 1, 5, 10 and 20, and MRR (1 / rank), and how many targets were not in
/// the catalogue.
class RankSums {
 public:
  static constexpr size_t kSize = 11;
  void add(int64_t rank);
  const std::vector<double>& sums() const { return sums_; }
  static nlohmann::json result(const std::vector<double>& sums);
  static double ndcg10(const std::vector<double>& sums);

 private:
  std::vector<double> sums_ = std::vector<double>(kSize);  // users, unknown, HR and NDCG by k, MRR
};

}  // namespace throng::op
