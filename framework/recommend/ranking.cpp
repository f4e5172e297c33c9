#include "framework/recommend/ranking.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>

#include "framework/data/resampling.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::recommend {
namespace {

// The means over users: HR by cutoff, NDCG by cutoff, MRR.
template <class Counts>
std::vector<double> means(const Counts& counts, const std::vector<int64_t>& cutoffs) {
  const size_t K = cutoffs.size();
  std::vector<double> sums(2 * K + 1);
  double users = 0;
  for (const auto& [rank, n] : counts) {
    users += double(n);
    if (rank == 0) continue;
    for (size_t i = 0; i < K; ++i)
      if (rank <= cutoffs[i]) sums[i] += double(n), sums[K + i] += double(n) / std::log2(double(rank) + 1);
    sums[2 * K] += double(n) / double(rank);
  }
  for (double& s : sums) s /= std::max(1.0, users);
  return sums;
}

std::vector<int32_t> sorted_once(std::span<const int32_t> items) {
  std::vector<int32_t> once(items.begin(), items.end());
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  return once;
}

}  // namespace

ScoresSeen::ScoresSeen(int32_t target, float own, std::span<const int32_t> left_out, size_t k) : target_(target), own_(own), k_(k), left_out_(sorted_once(left_out)) {}

void ScoresSeen::see(size_t first, std::span<const float> scores) {
  const size_t end = first + scores.size();
  const auto score_of = [&](int32_t item) { return scores[size_t(item) - first]; };
  if (target_ >= 0 && ranked_among_) {
    for (; among_seen_ < among_.size() && size_t(among_[among_seen_]) < end; ++among_seen_) better_ += score_of(among_[among_seen_]) >= own_;
  } else if (target_ >= 0) {
    better_ += tensor::count_at_least(own_, scores.data(), scores.size());
    better_ -= size_t(target_) >= first && size_t(target_) < end;  // itself
  }
  const size_t out_begin = left_out_seen_;
  for (; left_out_seen_ < left_out_.size() && size_t(left_out_[left_out_seen_]) < end; ++left_out_seen_)
    if (const int32_t item = left_out_[left_out_seen_]; target_ >= 0 && !ranked_among_ && item != target_) better_ -= score_of(item) >= own_;
  const auto out = std::span(left_out_).subspan(out_begin, left_out_seen_ - out_begin);
  if (k_ == 0) return;
  constexpr size_t kAtOnce = 64;
  for (size_t i = 0; i < scores.size(); ++i) {
    // Later items lose a tie. Few stretches have an item that is among the best so far.
    if (i % kAtOnce == 0 && best_.size() == k_)
      while (i < scores.size() && tensor::all_at_most(best_.front().score, &scores[i], std::min(kAtOnce, scores.size() - i))) i += kAtOnce;
    if (i >= scores.size()) break;
    if (best_.size() == k_ && scores[i] <= best_.front().score) continue;
    const Item item{scores[i], int32_t(first + i)};
    if (std::binary_search(out.begin(), out.end(), item.item)) continue;
    if (best_.size() == k_) std::pop_heap(best_.begin(), best_.end()), best_.pop_back();
    best_.push_back(item);
    std::push_heap(best_.begin(), best_.end());
  }
}

std::vector<int32_t> ScoresSeen::best() const {
  std::vector<Item> sorted = best_;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int32_t> items;
  for (const auto& i : sorted) items.push_back(i.item);
  return items;
}

std::vector<int32_t> draw_others(size_t items, int32_t target, std::span<const int32_t> taken, size_t n, Random random) {
  std::vector<int32_t> out(taken.begin(), taken.end());
  if (target >= 0) out.push_back(target);
  out = sorted_once(out);
  // The free items are numbered from 0; Floyd's draw of n of them (Bentley and Floyd, 1987).
  const size_t free = items - out.size();
  n = std::min(n, free);
  std::unordered_set<size_t> drawn;
  std::vector<int32_t> others;
  for (size_t j = free - n; j < free; ++j) {
    size_t item = random.below(uint32_t(j + 1));
    if (!drawn.insert(item).second) drawn.insert(item = j);
    for (int32_t o : out) {  // the number-th item that is not in `out`
      if (size_t(o) > item) break;
      ++item;
    }
    others.push_back(int32_t(item));
  }
  std::sort(others.begin(), others.end());
  return others;
}

RankCounts RankCounts::total(comm::Communicator& comm, std::span<const RankCounts> parts) {
  RankCounts mine, all;
  for (const auto& part : parts)
    for (const auto& [rank, n] : part.counts_) mine.counts_[rank] += n;
  std::string text;
  for (const auto& [rank, n] : mine.counts_)
    for (int64_t number : {rank, n}) text.append(reinterpret_cast<const char*>(&number), 8);
  for (const auto& of_rank : comm.allgather(text))
    for (size_t at = 0; at < of_rank.size(); at += 16) {
      int64_t pair[2];
      std::memcpy(pair, &of_rank[at], 16);
      all.counts_[pair[0]] += pair[1];
    }
  return all;
}

int64_t RankCounts::known() const {
  int64_t n = 0;
  for (const auto& [rank, count] : counts_) n += rank > 0 ? count : 0;
  return n;
}

double RankCounts::ndcg10() const { return means(counts_, {10})[1]; }

nlohmann::json RankCounts::result(int64_t bootstrap, uint64_t seed, const std::vector<int64_t>& cutoffs) const {
  const size_t K = cutoffs.size();
  int64_t users = 0;
  for (const auto& [rank, n] : counts_) users += n;
  auto unknown = counts_.find(0);
  nlohmann::json j{{"users", users}, {"targets_not_in_catalogue", unknown == counts_.end() ? 0 : unknown->second}};
  const auto mean = means(counts_, cutoffs);
  for (size_t i = 0; i < K; ++i) j["hr"][std::to_string(cutoffs[i])] = mean[i], j["ndcg"][std::to_string(cutoffs[i])] = mean[K + i];
  j["mrr"] = mean[2 * K];
  if (bootstrap == 0 || users == 0) return j;
  std::vector<int64_t> ranks, counts;
  for (const auto& [rank, n] : counts_) ranks.push_back(rank), counts.push_back(n);
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> samples(mean.size());
  for (int64_t b = 0; b < bootstrap; ++b) {
    const auto drawn = data::resample(counts, random);
    std::vector<std::pair<int64_t, int64_t>> sample;
    for (size_t i = 0; i < drawn.size(); ++i)
      if (drawn[i] > 0) sample.emplace_back(ranks[i], drawn[i]);
    const auto m = means(sample, cutoffs);
    for (size_t i = 0; i < m.size(); ++i) samples[i].push_back(m[i]);
  }
  const auto add = [&](const std::string& name, size_t measure) {
    const auto [low, high] = data::interval95(std::move(samples[measure]));
    j["interval95"][name] = {low, high};
  };
  for (size_t i = 0; i < K; ++i) add(fmt::format("hr{}", cutoffs[i]), i), add(fmt::format("ndcg{}", cutoffs[i]), K + i);
  add("mrr", 2 * K);
  return j;
}

}  // namespace throng::recommend
