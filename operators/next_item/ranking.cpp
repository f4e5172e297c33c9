#include "operators/next_item/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace throng::op {
namespace {
constexpr int64_t kCutoffs[] = {1, 5, 10, 20};
}

int64_t rank_of(std::span<const float> scores, int32_t target, std::span<const int32_t> seen) {
  if (target < 0) return 0;
  const float own = scores[size_t(target)];
  int64_t rank = 0;
  for (float s : scores) rank += s >= own;  // itself, too
  std::vector<int32_t> once(seen.begin(), seen.end());
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  for (int32_t item : once) rank -= item != target && scores[size_t(item)] >= own;
  return rank;
}

std::vector<int32_t> best_items(std::span<const float> scores, size_t k, std::span<const int32_t> seen) {
  std::vector<uint8_t> out(scores.size(), 0);
  for (int32_t item : seen) out[size_t(item)] = 1;
  std::vector<int32_t> items;
  for (size_t i = 0; i < scores.size(); ++i)
    if (!out[i]) items.push_back(int32_t(i));
  k = std::min(k, items.size());
  std::partial_sort(items.begin(), items.begin() + ptrdiff_t(k), items.end(), [&](int32_t a, int32_t b) { return std::pair(-scores[size_t(a)], a) < std::pair(-scores[size_t(b)], b); });
  return {items.begin(), items.begin() + ptrdiff_t(k)};  // not with room for the whole catalogue: it is kept for each user
}

void RankSums::add(int64_t rank) {
  sums_[0] += 1, sums_[1] += rank == 0;
  if (rank == 0) return;
  for (size_t i = 0; i < 4; ++i)
    if (rank <= kCutoffs[i]) sums_[2 + i] += 1, sums_[6 + i] += 1 / std::log2(double(rank) + 1);
  sums_[10] += 1 / double(rank);
}

double RankSums::ndcg10(const std::vector<double>& sums) { return sums[0] > 0 ? sums[8] / sums[0] : 0; }

nlohmann::json RankSums::result(const std::vector<double>& sums) {
  nlohmann::json j{{"users", int64_t(sums[0])}, {"targets_not_in_catalogue", int64_t(sums[1])}};
  const double users = std::max(1.0, sums[0]);
  for (size_t i = 0; i < 4; ++i) j["hr"][std::to_string(kCutoffs[i])] = sums[2 + i] / users, j["ndcg"][std::to_string(kCutoffs[i])] = sums[6 + i] / users;
  j["mrr"] = sums[10] / users;
  return j;
}

}  // namespace throng::op
