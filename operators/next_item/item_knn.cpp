#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "operators/next_item/baselines.h"

namespace throng::op {

using namespace recommend;
namespace {

// Pairs counted at a time, over all ranks, where items allow it, and pairs that a rank notes down before it counts them: what bounds memory.
constexpr int64_t kPairsAtOnce = int64_t{1} << 23;
constexpr size_t kNotedPairs = size_t{1} << 20;

struct Neighbour {
  int32_t item, like;  // `like` is like `item`
  float similarity;
};
struct PairCount {
  uint64_t pair;  // item, then the other one
  int64_t users;
};

template <class T>
Buffer bytes_of(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const std::byte*>(values.data());
  return {begin, begin + values.size() * sizeof(T)};
}
template <class T, class Bytes>
void append_from(const Bytes& bytes, std::vector<T>& into) {
  const size_t at = into.size();
  into.resize(at + bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(&into[at], bytes.data(), bytes.size());
}

// Sums the counts of equal pairs.
void sum_equal(std::vector<PairCount>& counts) {
  std::sort(counts.begin(), counts.end(), [](const PairCount& a, const PairCount& b) { return a.pair < b.pair; });
  size_t kept = 0;
  for (const auto& c : counts)
    if (kept > 0 && counts[kept - 1].pair == c.pair) counts[kept - 1].users += c.users;
    else counts[kept++] = c;
  counts.resize(kept);
}

class PairCounter {
 public:
  void add(int32_t item, int32_t other) {
    counts_.push_back({uint64_t(item) << 32 | uint32_t(other), 1});
    if (counts_.size() < summed_ + kNotedPairs) return;
    sum_equal(counts_);
    summed_ = counts_.size();
  }
  std::vector<PairCount> take() { return sum_equal(counts_), std::move(counts_); }

 private:
  std::vector<PairCount> counts_;
  size_t summed_ = 0;
};

// The items of a user, each once, in the order of the newest time.
std::vector<int32_t> newest(std::span<const int32_t> items, size_t most) {
  std::vector<int32_t> chosen;
  std::unordered_set<int32_t> there;
  for (size_t i = items.size(); i-- > 0 && chosen.size() < most;)
    if (there.insert(items[i]).second) chosen.push_back(items[i]);
  return chosen;
}

class Neighbours : public ItemScorer {
 public:
  Neighbours(size_t items, size_t recent, std::vector<Neighbour> all) : recent_(recent), starts_(items + 1), all_(std::move(all)) {
    for (const auto& n : all_) ++starts_[size_t(n.item) + 1];
    for (size_t i = 0; i < items; ++i) starts_[i + 1] += starts_[i];
  }
  std::unique_ptr<Scores> scores_of(std::span<const Asked> users) const override {
    auto scores = std::make_unique<Few>();
    for (const auto& user : users) scores->users.push_back(score(user.history));
    return scores;
  }

 private:
  struct Scored {
    int32_t item;
    float score;
    bool operator<(const Scored& other) const { return item < other.item; }
  };
  /// Items in order; the others have none.
  struct Few : Scores {
    std::vector<std::vector<Scored>> users;
    void get(size_t first, size_t count, float* into) const override {
      std::fill_n(into, users.size() * count, 0.0f);
      for (size_t u = 0; u < users.size(); ++u)
        for (auto at = std::lower_bound(users[u].begin(), users[u].end(), Scored{int32_t(first), 0}); at != users[u].end() && size_t(at->item) < first + count; ++at) into[u * count + size_t(at->item) - first] = at->score;
    }
    float one(size_t user, int32_t item) const override {
      const auto at = std::lower_bound(users[user].begin(), users[user].end(), Scored{item, 0});
      return at != users[user].end() && at->item == item ? at->score : 0.0f;
    }
  };

  std::vector<Scored> score(std::span<const int32_t> history) const {
    std::vector<Scored> parts, sums;
    for (int32_t item : newest(history, recent_))
      for (size_t n = starts_[size_t(item)]; n < starts_[size_t(item) + 1]; ++n) parts.push_back({all_[n].like, all_[n].similarity});
    std::stable_sort(parts.begin(), parts.end());
    for (const auto& p : parts)
      if (!sums.empty() && sums.back().item == p.item) sums.back().score += p.score;
      else sums.push_back(p);
    return sums;
  }

  size_t recent_;
  std::vector<size_t> starts_;
  std::vector<Neighbour> all_;
};

}  // namespace

std::unique_ptr<ItemScorer> ItemKnnRecommender::learn(graph::CollectiveContext& context) {
  auto& comm = context.comm();
  const size_t items = catalogue().size(), ranks = size_t(comm.size());
  std::vector<std::span<const int32_t>> sets;
  for (const auto& partition : held())
    for (const auto& user : partition.users) sets.push_back(context.arena().keep(newest(user.items, size_t(params_.max_length))));
  // Of each item: users that took it, and pairs it is in.
  std::vector<int64_t> users(items), pairs(items);
  for (const auto& set : sets)
    for (int32_t item : set) ++users[size_t(item)], pairs[size_t(item)] += int64_t(set.size()) - 1;
  comm.allreduce(users), comm.allreduce(pairs);

  // Item after item as long as their pairs fit; each item is counted by one rank, exactly, so that neither cut matters to the result.
  std::vector<Neighbour> mine;
  for (size_t begin = 0, end; begin < items; begin = end) {
    int64_t sum = pairs[begin];
    for (end = begin + 1; end < items && sum + pairs[end] <= kPairsAtOnce; ++end) sum += pairs[end];
    std::vector<PairCounter> counters(ranks);
    for (const auto& set : sets)
      for (int32_t item : set) {
        if (size_t(item) < begin || size_t(item) >= end) continue;
        for (int32_t other : set)
          if (other != item) counters[size_t(item) % ranks].add(item, other);
      }
    std::vector<Buffer> messages;
    for (auto& c : counters) messages.push_back(bytes_of(c.take()));
    std::vector<PairCount> counts;
    for (const auto& bytes : comm.alltoall(std::move(messages))) append_from(bytes, counts);
    sum_equal(counts);
    std::vector<Neighbour> of_item;
    auto keep_best = [&] {
      std::sort(of_item.begin(), of_item.end(), [](const Neighbour& a, const Neighbour& b) { return std::pair(-a.similarity, a.like) < std::pair(-b.similarity, b.like); });
      of_item.resize(std::min(of_item.size(), size_t(params_.neighbours)));
      mine.insert(mine.end(), of_item.begin(), of_item.end());
      of_item.clear();
    };
    for (const auto& [pair, count] : counts) {
      const double together = double(count);
      const auto item = int32_t(pair >> 32), other = int32_t(uint32_t(pair));
      if (!of_item.empty() && of_item.back().item != item) keep_best();
      const double a = double(users[size_t(item)]), b = double(users[size_t(other)]);
      const double below = params_.similarity == "cosine" ? std::sqrt(a * b) : a + b - together;
      of_item.push_back({item, other, float(together / (below + params_.shrink))});
    }
    if (!of_item.empty()) keep_best();
    context.progress(double(end) / double(items), fmt::format("{} of {} items", end, items));
  }
  std::vector<Neighbour> all;
  const Buffer bytes = bytes_of(mine);
  for (const auto& text : comm.allgather(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()))) append_from(text, all);
  std::stable_sort(all.begin(), all.end(), [](const Neighbour& a, const Neighbour& b) { return a.item < b.item; });
  save_catalogue(context);
  if (comm.rank() == 0) {
    data::ArrayStore store;
    std::vector<int64_t> item, like;
    std::vector<float> similarity;
    for (const auto& n : all) item.push_back(n.item), like.push_back(n.like), similarity.push_back(n.similarity);
    store.put("item", std::move(item)), store.put("like", std::move(like)), store.put("similarity", std::move(similarity));
    store.save(context.folder() / "neighbours.h5");
  }
  return std::make_unique<Neighbours>(items, params_.recent > 0 ? size_t(params_.recent) : SIZE_MAX, std::move(all));
}

std::unique_ptr<ItemScorer> ItemKnnRecommender::restore(const std::filesystem::path& folder) {
  const auto store = data::ArrayStore::load(folder / "neighbours.h5");
  const auto &item = store.integers("item"), &like = store.integers("like");
  const auto& similarity = store.floats("similarity");
  if (item.size() != like.size() || item.size() != similarity.size()) throw data_error("{}: its arrays differ in length", (folder / "neighbours.h5").string());
  std::vector<Neighbour> all;
  for (size_t i = 0; i < item.size(); ++i) {
    if (std::max(item[i], like[i]) >= int64_t(catalogue().size()) || std::min(item[i], like[i]) < 0) throw data_error("{}: an item is not in the catalogue", (folder / "neighbours.h5").string());
    all.push_back({int32_t(item[i]), int32_t(like[i]), similarity[i]});
  }
  return std::make_unique<Neighbours>(catalogue().size(), params_.recent > 0 ? size_t(params_.recent) : SIZE_MAX, std::move(all));
}

}  // namespace throng::op
