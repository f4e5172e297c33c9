#include "framework/train/table_softmax.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <limits>
#include <memory>

#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/softmax.h"

namespace throng::train {
namespace {

using tensor::PackedMatrix;
using tensor::Side;

/// Scores, and parts of the states' gradient, that there are at a time over all ranks.
constexpr size_t kNumbers = size_t{1} << 22;

}  // namespace

TableSoftmax::TableSoftmax(comm::Communicator& comm, TableShards& tables, const nn::Parameters& parameters, const nn::Parameter& table, const nn::Parameter* bias)
    : comm_(comm), tables_(tables), table_(tables.index_of(table)), cols_(table.cols), num_rows_(table.rows), learns_(parameters.learns(table)), bias_learns_(bias && parameters.learns(*bias)) {
  if (bias) {
    THRONG_CHECK(bias->rows == table.rows && bias->cols == 1, "a bias of {} x {} for {} rows", bias->rows, bias->cols, table.rows);
    bias_ = tables.index_of(*bias);
  }
  gradient_.assign(tables.own_rows(table_).size(), 0.0f);
  if (bias_) bias_gradient_.assign(tables.own_rows(*bias_).size(), 0.0f);
  for (int leaf = comm.first_shard(comm.rank(), TableShards::kLeaves); leaf < comm.first_shard(comm.rank() + 1, TableShards::kLeaves); ++leaf) {
    const auto [begin, end] = tables.rows_of_leaf(table_, leaf);
    leaves_.push_back({begin, end - begin});
  }
}

std::vector<SoftmaxOutcome> TableSoftmax::run(ThreadPool& pool, const std::vector<SoftmaxStates>& mine) {
  if (std::exchange(added_, false)) {
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    std::fill(bias_gradient_.begin(), bias_gradient_.end(), 0.0f);
  }
  const AllStates all(comm_, mine, cols_);
  const auto weights = tables_.own_rows(table_);
  const size_t T = all.targets.size(), H = cols_, L = leaves_.size(), at_once = std::clamp<size_t>(kNumbers / std::max(num_rows_, TableShards::kLeaves * H), 16, 4096);
  // The targets that this rank has, by leaf: place in the leaf, -1 for others'.
  std::vector<int32_t> owned(T);
  for (size_t i = 0; i < T; ++i) {
    THRONG_CHECK(all.targets[i] >= 0 && size_t(all.targets[i]) < num_rows_, "class {} of {}", all.targets[i], num_rows_);
    owned[i] = tables_.own_place(table_, all.targets[i]);
  }

  std::vector<std::unique_ptr<PackedMatrix<float>>> forth(L), back(L);
  std::vector<std::vector<float>> scores(L), most(L), parts(L);
  std::vector<std::vector<double>> sums(L);
  size_t widest = H;
  for (const Leaf& leaf : leaves_) widest = std::max(widest, leaf.rows);
  const std::vector<float> zeros(widest, 0.0f);
  const float* bias = bias_ ? tables_.own_rows(*bias_).data() : nullptr;
  pool.parallel_for(L, [&](size_t l) {
    const auto [begin, rows] = leaves_[l];
    const size_t n = std::min(at_once, T);
    scores[l].resize(n * rows), most[l].resize(n), sums[l].resize(2 * n), parts[l].resize(n * H);
    if (rows == 0) return;
    forth[l] = std::make_unique<PackedMatrix<float>>(Side::kTransposed, H, rows, &weights[begin * H]);
    back[l] = std::make_unique<PackedMatrix<float>>(Side::kPlain, rows, H, &weights[begin * H]);
  });

  std::vector<double> losses(T), total;
  std::vector<float> gradients(T * H), greatest;
  for (size_t begin = 0; begin < T; begin += at_once) {
    const size_t n = std::min(at_once, T - begin);
    const float* states = &all.values[begin * H];
    const auto target_in = [&](const Leaf& leaf, size_t i) { return owned[begin + i] >= int32_t(leaf.begin) && owned[begin + i] < int32_t(leaf.begin + leaf.rows) ? owned[begin + i] - int32_t(leaf.begin) : -1; };
    pool.parallel_for(L, [&](size_t l) {
      const Leaf& leaf = leaves_[l];
      std::fill_n(most[l].begin(), n, -std::numeric_limits<float>::infinity());
      std::fill_n(sums[l].begin(), 2 * n, 0.0);
      if (leaf.rows == 0) return;
      forth[l]->multiply(n, states, bias ? bias + leaf.begin : zeros.data(), scores[l].data());
      for (size_t i = 0; i < n; ++i) {
        float* row = &scores[l][i * leaf.rows];
        if (const int32_t target = target_in(leaf, i); target >= 0) sums[l][n + i] = double(row[target]);
        const auto found = tensor::exponents(row, leaf.rows);
        most[l][i] = found.most, sums[l][i] = double(found.sum);
      }
    });
    greatest.assign(n, -std::numeric_limits<float>::infinity());
    for (const auto& of_leaf : most)
      for (size_t i = 0; i < n; ++i) greatest[i] = std::max(greatest[i], of_leaf[i]);
    take_greatest(comm_, greatest);
    for (size_t l = 0; l < L; ++l)
      for (size_t i = 0; i < n && leaves_[l].rows > 0; ++i) sums[l][i] *= most[l][i] = std::exp(most[l][i] - greatest[i]);
    // The sum of a node may overwrite these.
    total.resize(2 * n);
    comm_.sum_shards(spans_of(sums, 2 * n), TableShards::kLeaves, total);
    for (size_t i = 0; i < n; ++i) losses[begin + i] = double(greatest[i]) + std::log(total[i]) - total[n + i];
    pool.parallel_for(L, [&](size_t l) {
      const Leaf& leaf = leaves_[l];
      if (leaf.rows == 0) {
        std::fill_n(parts[l].begin(), n * H, 0.0f);
        return;
      }
      for (size_t i = 0; i < n; ++i) {
        float* row = &scores[l][i * leaf.rows];
        const float factor = float(double(most[l][i]) / total[i]);
        for (size_t r = 0; r < leaf.rows; ++r) row[r] *= factor;
        if (const int32_t target = target_in(leaf, i); target >= 0) row[target] -= 1;
        if (bias_learns_)
          for (size_t r = 0; r < leaf.rows; ++r) bias_gradient_[leaf.begin + r] += row[r];
      }
      if (learns_) tensor::add_outer_products(n, leaf.rows, H, scores[l].data(), states, &gradient_[leaf.begin * H]);
      back[l]->multiply(n, scores[l].data(), zeros.data(), parts[l].data());
    });
    comm_.sum_shards(spans_of(parts, n * H), TableShards::kLeaves, std::span(gradients).subspan(begin * H, n * H));
  }

  return all.outcomes(mine, losses, gradients, H);
}

void TableSoftmax::add_gradient() {
  if (learns_) tables_.add(table_, gradient_);
  if (bias_learns_) tables_.add(*bias_, bias_gradient_);
  added_ = true;
}

}  // namespace throng::train
