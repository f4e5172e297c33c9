#include "framework/train/sampled_softmax.h"

#include <algorithm>
#include <bit>
#include <bitset>
#include <cmath>
#include <limits>

#include "framework/base/hash.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/softmax.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::train {

using tensor::Side;

namespace {

/// Scores that there are at a time over all ranks, and states.
constexpr size_t kNumbers = size_t{1} << 22, kStates = 1024;
/// Of a row that is left out.
constexpr float kLeftOut = -1e30f;

/// Which states have a row as their own: few of the rows that are asked for.
class OwnRows {
 public:
  explicit OwnRows(std::span<const int32_t> own) {
    for (size_t i = 0; i < own.size(); ++i) maybe_.set(size_t(own[i]) % kBits), by_row_.emplace_back(own[i], uint32_t(i));
    std::sort(by_row_.begin(), by_row_.end());
  }
  template <class Visit>
  void for_each(int32_t row, const Visit& visit) const {
    if (!maybe_[size_t(row) % kBits]) return;
    for (auto at = std::lower_bound(by_row_.begin(), by_row_.end(), std::pair(row, uint32_t{0})); at != by_row_.end() && at->first == row; ++at) visit(at->second);
  }

 private:
  static constexpr size_t kBits = 1 << 15;
  std::bitset<kBits> maybe_;
  std::vector<std::pair<int32_t, uint32_t>> by_row_;
};

}  // namespace

SampledSoftmax::SampledSoftmax(comm::Communicator& comm, const nn::Parameter& table, int shards, std::span<const float> log_q) : comm_(comm), table_(table), shards_(shards), log_q_(log_q) {
  THRONG_CHECK(log_q.empty() || log_q.size() == table.rows, "{} log_q of {} rows", log_q.size(), table.rows);
  for (int s = comm.first_shard(comm.rank(), shards); s < comm.first_shard(comm.rank() + 1, shards); ++s) parts_.push_back(std::make_unique<Part>());
}

SampledRows::SampledRows(std::span<const int32_t> drawn) {
  // Places by hash, with room for twice as many.
  std::vector<uint32_t> places(std::bit_ceil(2 * drawn.size() + 1), UINT32_MAX);
  std::vector<uint32_t> times;
  for (const int32_t row : drawn) {
    size_t at = size_t(mix64(uint64_t(row))) & (places.size() - 1);
    while (places[at] != UINT32_MAX && rows[places[at]] != row) at = (at + 1) & (places.size() - 1);
    if (places[at] == UINT32_MAX) places[at] = uint32_t(rows.size()), rows.push_back(row), times.push_back(0);
    ++times[places[at]];
  }
  if (rows.size() == drawn.size()) return;
  for (const uint32_t n : times) log_times.push_back(float(std::log(double(n))));
}

void SampledSoftmax::take_rows(Part& part, const SampledRows& sample, int shard) const {
  const size_t H = table_.cols, begin = begin_of(sample, shard);
  part.rows = stretch(sample, shard);
  const size_t K = part.rows.size();
  part.more.assign(K, 0.0f);
  bool dense = true;  // they lie one after another
  const float* const first = K > 0 ? part.tape.row(table_, part.rows[0]) : nullptr;
  for (size_t j = 0; j < K; ++j) {
    dense = dense && part.tape.row(table_, part.rows[j]) == first + j * H;
    if (!sample.log_times.empty()) part.more[j] = sample.log_times[begin + j];
    if (!log_q_.empty()) part.more[j] -= log_q_[size_t(part.rows[j])];
  }
  part.weights = first;
  if (!dense) {
    part.own_weights.resize(K * H);
    for (size_t j = 0; j < K; ++j) std::copy_n(part.tape.row(table_, part.rows[j]), H, &part.own_weights[j * H]);
    part.weights = part.own_weights.data();
  }
  part.gradient = part.tape.room_for_rows(table_, part.rows);
  part.in_place = part.gradient != nullptr;
  if (part.in_place) return;
  part.own_gradient.resize(K * H);
  part.gradient = part.own_gradient.data();
}

std::vector<SoftmaxOutcome> SampledSoftmax::run(ThreadPool& pool, const std::vector<SoftmaxStates>& mine, const SampledRows& sample, const std::function<void(size_t, nn::Tape<float>&)>& start) {
  const size_t H = table_.cols, L = parts_.size(), at_once = std::clamp<size_t>(kNumbers / std::max<size_t>(sample.rows.size(), 1), 16, kStates);
  THRONG_CHECK(mine.size() == L, "states of {} shards, of {}", mine.size(), L);
  for (const int32_t row : sample.rows) THRONG_CHECK(row >= 0 && size_t(row) < table_.rows, "class {} of {}", row, table_.rows);
  std::vector<size_t> firsts;  // of the states of a shard, among this rank's
  size_t count = 0;
  for (const auto& shard : mine) firsts.push_back(count), count += shard.count;
  std::vector<float> own(count);
  pool.parallel_for(L, [&](size_t l) {
    Part& part = *parts_[l];
    start(l, part.tape);
    take_rows(part, sample, comm_.first_shard(comm_.rank(), shards_) + int(l));
    for (size_t i = 0; i < mine[l].count; ++i) {
      const int32_t target = mine[l].targets[i];
      THRONG_CHECK(target >= 0 && size_t(target) < table_.rows, "class {} of {}", target, table_.rows);
      own[firsts[l] + i] = tensor::dot(mine[l].values + i * H, part.tape.row(table_, target), H) - (log_q_.empty() ? 0.0f : log_q_[size_t(target)]);
    }
  });
  const AllStates all(comm_, mine, H, own);
  const size_t T = all.targets.size();

  std::vector<std::vector<float>> most(L), parts(L);
  std::vector<std::vector<double>> sums(L);
  for (size_t l = 0; l < L; ++l) most[l].resize(std::min(at_once, T)), sums[l].resize(std::min(at_once, T)), parts[l].resize(std::min(at_once, T) * H);
  const std::vector<float> zeros(std::max(H, at_once), 0.0f);
  std::vector<double> losses(T), total, own_shares(T);  // of a state's own row in the softmax
  std::vector<float> gradients(T * H), greatest;
  for (size_t begin = 0; begin < T; begin += at_once) {
    const size_t n = std::min(at_once, T - begin);
    // Products are the other way round: rows that all differ meet the same few states, which alone are laid out.
    const float* states = &all.values[begin * H];
    const OwnRows own_rows(std::span(all.targets).subspan(begin, n));
    forth_.lay_out(Side::kTransposed, H, n, states, H);
    back_.lay_out(Side::kPlain, n, H, states, H);
    pool.parallel_for(L, [&](size_t l) {
      Part& part = *parts_[l];
      const size_t K = part.rows.size();
      part.scores.resize(K * n), part.sums.resize(n);
      forth_.multiply(K, part.weights, zeros.data(), part.scores.data());
      for (size_t j = 0; j < K; ++j) own_rows.for_each(part.rows[j], [&](size_t i) { part.scores[j * n + i] = kLeftOut; });
      tensor::column_exponents(K, n, part.scores.data(), part.more.data(), most[l].data(), part.sums.data());
      std::copy_n(part.sums.begin(), n, sums[l].begin());
    });
    greatest.assign(all.own_scores.begin() + ptrdiff_t(begin), all.own_scores.begin() + ptrdiff_t(begin + n));
    for (const auto& of_part : most)
      for (size_t i = 0; i < n; ++i) greatest[i] = std::max(greatest[i], of_part[i]);
    take_greatest(comm_, greatest);
    for (size_t l = 0; l < L; ++l)
      for (size_t i = 0; i < n; ++i) sums[l][i] *= most[l][i] = std::exp(most[l][i] - greatest[i]);
    total.resize(n);
    comm_.sum_shards(spans_of(sums, n), shards_, total);
    for (size_t i = 0; i < n; ++i) {
      const double score = double(all.own_scores[begin + i]) - double(greatest[i]), share = std::exp(score);
      total[i] += share;
      losses[begin + i] = std::log(total[i]) - score, own_shares[begin + i] = share / total[i];
    }
    pool.parallel_for(L, [&](size_t l) {
      Part& part = *parts_[l];
      const size_t K = part.rows.size();
      for (size_t i = 0; i < n; ++i) most[l][i] = float(double(most[l][i]) / total[i]);
      tensor::scale_columns(K, n, most[l].data(), part.scores.data());
      if (part.tape.learns(table_)) {
        if (begin == 0) back_.multiply(K, part.scores.data(), zeros.data(), part.gradient);
        else back_.multiply_add(K, part.scores.data(), part.gradient);
      }
      std::fill_n(parts[l].begin(), n * H, 0.0f);
      tensor::add_outer_products(K, n, H, part.scores.data(), part.weights, parts[l].data());
    });
    comm_.sum_shards(spans_of(parts, n * H), shards_, std::span(gradients).subspan(begin * H, n * H));
  }

  pool.parallel_for(L, [&](size_t l) {
    Part& part = *parts_[l];
    if (T == 0 && part.in_place) std::fill_n(part.gradient, part.rows.size() * H, 0.0f);
    if (T > 0 && !part.in_place) part.tape.add_to_rows(table_, part.rows, part.gradient);
    std::vector<float> along(H);
    for (size_t i = 0; i < mine[l].count; ++i) {
      const size_t at = all.first_of_rank + firsts[l] + i;
      const float factor = float(own_shares[at] - 1);
      tensor::axpy(factor, part.tape.row(table_, mine[l].targets[i]), &gradients[at * H], H);
      for (size_t c = 0; c < H; ++c) along[c] = factor * mine[l].values[i * H + c];
      part.tape.add_to_rows(table_, std::span(&mine[l].targets[i], 1), along.data());
    }
  });
  return all.outcomes(mine, losses, gradients, H);
}

}  // namespace throng::train
