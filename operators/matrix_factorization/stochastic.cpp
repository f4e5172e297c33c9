#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "operators/matrix_factorization/factors.h"

namespace throng::op {

Stochastic::Stochastic(comm::Communicator& comm, const RatedItems& data, Loss loss, int shards, double lr, double regularization, uint64_t seed)
    : data_(data), loss_(loss), shards_(shards), first_(comm.first_shard(comm.rank(), shards)), lr_(lr), regularization_(regularization), seed_(seed) {}

Stochastic::Deal Stochastic::deal(int64_t epoch) const {
  // A block needs two items, so that there is another one to draw.
  const size_t blocks = std::clamp<size_t>(data_.items / 2, 1, size_t(shards_));
  std::vector<int32_t> order(data_.items), block_of(data_.items);
  for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
  Random random(mix64(seed_ ^ mix64(uint64_t(epoch))), UINT64_MAX);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(uint32_t(i))]);
  Deal deal;
  deal.items.resize(size_t(shards_));
  for (size_t i = 0; i < order.size(); ++i) deal.items[i % blocks].push_back(order[i]), block_of[size_t(order[i])] = int32_t(i % blocks);
  for (size_t s = 0; s < data_.shard_ends.size(); ++s) {
    deal.cases.emplace_back(size_t(shards_));
    for (size_t u = data_.shard_begin(s); u < data_.shard_ends[s]; ++u)
      for (const auto& r : data_.of_user[u]) deal.cases.back()[size_t(block_of[size_t(r.item)])].push_back({uint32_t(u), r.item, r.value});
  }
  return deal;
}

Stochastic::Sums Stochastic::meet(Factors& factors, const Deal& deal, size_t own_shard, int block, int64_t epoch) const {
  std::vector<Case> cases = deal.cases[own_shard][size_t(block)];
  const auto& items = deal.items[size_t(block)];
  Random random(mix64(seed_ ^ mix64(uint64_t(epoch))), uint64_t(first_) + own_shard, uint64_t(block));
  for (size_t i = cases.size(); i > 1; --i) std::swap(cases[i - 1], cases[random.below(uint32_t(i))]);
  const size_t width = factors.width;
  const float lr = float(lr_), pull = float(regularization_);
  Sums sums;
  for (const Case& c : cases) {
    float *p = factors.user(c.user), *q = factors.item(size_t(c.item));
    if (loss_ == Loss::kSquared) {
      float &bu = factors.user_bias[c.user], &bi = factors.item_bias[size_t(c.item)];
      const float error = c.value - (float(data_.mean) + bu + bi + factors.product(c.user, size_t(c.item)));
      bu += lr * (error - pull * bu), bi += lr * (error - pull * bi);
      for (size_t f = 0; f < width; ++f) {
        const float old = p[f];
        p[f] += lr * (error * q[f] - pull * old), q[f] += lr * (error * old - pull * q[f]);
      }
      sums.loss += double(error) * double(error), ++sums.cases;
      continue;
    }
    // An item of the block that the user did not take; the user's items are in order of number.
    const auto& taken = data_.of_user[c.user];
    int32_t other = -1;
    for (int tries = 0; tries < 20 && other < 0; ++tries) {
      const int32_t item = items[random.below(uint32_t(items.size()))];
      auto at = std::lower_bound(taken.begin(), taken.end(), item, [](const Rating& r, int32_t number) { return r.item < number; });
      if (at == taken.end() || at->item != item) other = item;
    }
    if (other < 0) continue;
    float *n = factors.item(size_t(other)), &bi = factors.item_bias[size_t(c.item)], &bn = factors.item_bias[size_t(other)];
    const float margin = bi - bn + factors.product(c.user, size_t(c.item)) - factors.product(c.user, size_t(other));
    const float slope = 1 / (1 + std::exp(margin));
    bi += lr * (slope - pull * bi), bn += lr * (-slope - pull * bn);
    for (size_t f = 0; f < width; ++f) {
      const float old = p[f];
      p[f] += lr * (slope * (q[f] - n[f]) - pull * old), q[f] += lr * (slope * old - pull * q[f]), n[f] += lr * (-slope * old - pull * n[f]);
    }
    sums.loss += std::log1p(std::exp(-double(margin))), ++sums.cases;
  }
  return sums;
}

// The block that shard s has after turn t is the one that shard s - 1 meets next.
void Stochastic::pass_on(comm::Communicator& comm, const Deal& deal, Factors& factors, int turn) const {
  const size_t row = (factors.width + 1) * sizeof(float);
  auto for_each_item = [&](int block, const auto& visit) {
    for (int32_t i : deal.items[size_t(block)]) visit(size_t(i));
  };
  std::vector<Buffer> messages(size_t(comm.size()));
  for (size_t s = 0; s < data_.shard_ends.size(); ++s) {
    const int shard = first_ + int(s), next = comm.owner_of_shard((shard + shards_ - 1) % shards_, shards_);
    if (next == comm.rank()) continue;
    auto& to = messages[size_t(next)];
    for_each_item(block_at(shard, turn), [&](size_t i) {
      const size_t at = to.size();
      to.resize(at + row);
      std::memcpy(&to[at], factors.item(i), row - sizeof(float)), std::memcpy(&to[at + row - sizeof(float)], &factors.item_bias[i], sizeof(float));
    });
  }
  const auto received = comm.alltoall(std::move(messages));
  std::vector<size_t> read(received.size());
  // A rank sends its shards' blocks in order; those that come from one rank lie in the same order here, once round the corner of shard 0.
  std::vector<int> wanted;
  for (size_t s = 0; s < data_.shard_ends.size(); ++s) wanted.push_back((first_ + int(s) + 1) % shards_);
  std::sort(wanted.begin(), wanted.end());
  for (int from_shard : wanted) {
    const int from = comm.owner_of_shard(from_shard, shards_);
    if (from == comm.rank()) continue;
    for_each_item(block_at(from_shard, turn), [&](size_t i) {
      const auto& bytes = received[size_t(from)];
      size_t& at = read[size_t(from)];
      THRONG_CHECK(at + row <= bytes.size(), "a block of items is short");
      std::memcpy(factors.item(i), &bytes[at], row - sizeof(float)), std::memcpy(&factors.item_bias[i], &bytes[at + row - sizeof(float)], sizeof(float));
      at += row;
    });
  }
}

// After the last turn each rank has the blocks that its shards met last: all go to all.
void Stochastic::share(comm::Communicator& comm, const Deal& deal, Factors& factors, int turn) const {
  std::string mine;
  auto for_blocks = [&](int first, int end, const auto& visit) {
    for (int shard = first; shard < end; ++shard)
      for (int32_t i : deal.items[size_t(block_at(shard, turn))]) visit(size_t(i));
  };
  for_blocks(first_, first_ + int(data_.shard_ends.size()), [&](size_t i) {
    mine.append(reinterpret_cast<const char*>(factors.item(i)), factors.width * sizeof(float));
    mine.append(reinterpret_cast<const char*>(&factors.item_bias[i]), sizeof(float));
  });
  const auto all = comm.allgather(mine);
  for (int r = 0; r < comm.size(); ++r) {
    size_t at = 0;
    for_blocks(comm.first_shard(r, shards_), comm.first_shard(r + 1, shards_), [&](size_t i) {
      std::memcpy(factors.item(i), &all[size_t(r)][at], factors.width * sizeof(float)), at += factors.width * sizeof(float);
      std::memcpy(&factors.item_bias[i], &all[size_t(r)][at], sizeof(float)), at += sizeof(float);
    });
  }
}

double Stochastic::epoch(comm::Communicator& comm, Factors& factors, int64_t number, const std::function<void(size_t, const std::function<void(size_t)>&)>& parallel_for) const {
  std::vector<std::vector<double>> sums(data_.shard_ends.size(), std::vector<double>(2));
  const Deal dealt = deal(number);
  for (int turn = 0; turn < shards_; ++turn) {
    parallel_for(data_.shard_ends.size(), [&](size_t s) {
      const Sums met = meet(factors, dealt, s, block_at(first_ + int(s), turn), number);
      sums[s][0] += met.loss, sums[s][1] += double(met.cases);
    });
    if (turn + 1 < shards_) pass_on(comm, dealt, factors, turn);
    else share(comm, dealt, factors, turn);
  }
  std::vector<std::span<double>> spans(sums.begin(), sums.end());
  std::vector<double> total(2);
  comm.sum_shards(spans, shards_, total);
  return total[0] / std::max(1.0, total[1]);
}

}  // namespace throng::op
