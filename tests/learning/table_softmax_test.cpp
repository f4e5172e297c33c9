// The softmax over a table that lies over ranks: against a plain loop, and the same bits on any number of ranks.
#include "framework/train/table_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"

namespace throng::train {
namespace {

constexpr int kShards = 8;

struct Found {
  std::vector<double> losses;                 // by shard
  std::vector<std::vector<float>> gradients;  // of states
  std::vector<float> weights;                 // of the table after a step of plain descent
};

/// Shard s has (s * 5) % 7 * scale states, so that some have none.
size_t count_of(int shard, size_t scale) { return size_t(shard * 5 % 7) * scale; }
std::vector<float> states_of(int shard, size_t scale, size_t cols) {
  Random random(3, uint64_t(shard));
  std::vector<float> values(count_of(shard, scale) * cols);
  for (float& v : values) v = 2 * float(random.uniform()) - 1;
  return values;
}
std::vector<int32_t> targets_of(int shard, size_t scale, size_t rows) {
  Random random(4, uint64_t(shard));
  std::vector<int32_t> targets(count_of(shard, scale));
  for (auto& target : targets) target = int32_t(random.below(uint32_t(rows)));
  return targets;
}

nn::Parameters model_of(size_t rows, size_t cols) {
  nn::Parameters p;
  p.add("dense", 3, 5, nn::Initial::normal(1));
  p.add_table("other", 40, 2, nn::Initial::normal(1));
  p.add_table("bias", rows, 1, nn::Initial::normal(1));
  p.add_table("classes", rows, cols, nn::Initial::normal(1));
  return p;
}

Found found(int ranks, int threads, size_t rows, size_t cols, size_t scale, bool biased = false, bool again = false) {
  const nn::Parameters parameters = model_of(rows, cols);
  nn::OptimizerOptions options;
  options.kind = nn::OptimizerOptions::Kind::kSgd, options.lr = 1;
  Found result;
  result.losses.resize(kShards), result.gradients.resize(kShards), result.weights.resize(parameters.size());
  std::mutex mutex;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    ThreadPool pool(threads);
    TableShards tables(comm, parameters, options);
    tables.initialize(1);
    const nn::Parameter bias = parameters.find("bias").where;
    TableSoftmax softmax(comm, tables, parameters, parameters.find("classes").where, biased ? &bias : nullptr);
    const int first = comm.first_shard(comm.rank(), kShards), end = comm.first_shard(comm.rank() + 1, kShards);
    std::vector<std::vector<float>> values;
    std::vector<SoftmaxStates> states;
    for (int s = first; s < end; ++s) values.push_back(states_of(s, scale, cols));
    for (int s = first; s < end; ++s) states.push_back({count_of(s, scale), values[size_t(s - first)].data(), targets_of(s, scale, rows)});
    nn::TableRows<float> none(parameters);
    std::vector<nn::TableRows<float>> nothing;
    tables.fetch(none);
    auto outcomes = softmax.run(pool, states);
    if (again) {  // what one step has added is not in the next one
      tables.sum(nothing, none);
      softmax.add_gradient();
      outcomes = softmax.run(pool, states);
    }
    tables.sum(nothing, none);
    softmax.add_gradient();
    tables.update(0.1, 1);
    std::vector<float> whole(parameters.size());
    tables.gather([&](size_t at, std::span<float> part) { std::copy(part.begin(), part.end(), whole.begin() + ptrdiff_t(at)); });
    std::lock_guard lock(mutex);
    for (int s = first; s < end; ++s) result.losses[size_t(s)] = outcomes[size_t(s - first)].loss, result.gradients[size_t(s)] = outcomes[size_t(s - first)].gradient;
    if (comm.rank() == 0) result.weights = whole;
  });
  return result;
}

TEST(TableSoftmax, IsWhatAPlainLoopSays) {
  // Fewer rows than leaves; more; and more states than are gone through at a time.
  for (const auto& [rows, cols, scale, biased] : {std::array<size_t, 4>{50, 6, 3, 0}, {1500, 7, 3, 0}, {1500, 7, 3, 1}, {50, 6, 3, 1}, {90, 3, 400, 0}}) {
    const nn::Parameters parameters = model_of(rows, cols);
    std::vector<float> begin(parameters.size());
    parameters.initialize<float>(begin, 1);
    const auto table = parameters.find("classes").where;
    const size_t bias = parameters.find("bias").where.at;
    const Found f = found(3, 2, rows, cols, scale, biased);
    std::vector<double> gradient(table.size()), bias_gradient(rows);
    for (int s = 0; s < kShards; ++s) {
      const auto states = states_of(s, scale, cols);
      const auto targets = targets_of(s, scale, rows);
      double loss = 0;
      ASSERT_EQ(f.gradients[size_t(s)].size(), states.size());
      for (size_t i = 0; i < targets.size(); ++i) {
        std::vector<double> p(rows);
        double sum = 0;
        for (size_t r = 0; r < rows; ++r) {
          double score = biased ? double(begin[bias + r]) : 0;
          for (size_t c = 0; c < cols; ++c) score += double(begin[table.at + r * cols + c]) * double(states[i * cols + c]);
          sum += p[r] = std::exp(score);
        }
        loss -= std::log(p[size_t(targets[i])] / sum);
        for (size_t r = 0; r < rows; ++r) p[r] = p[r] / sum - (int32_t(r) == targets[i]);
        for (size_t r = 0; r < rows && biased; ++r) bias_gradient[r] += p[r];
        for (size_t c = 0; c < cols; ++c) {
          double back = 0;
          for (size_t r = 0; r < rows; ++r) back += p[r] * double(begin[table.at + r * cols + c]), gradient[r * cols + c] += p[r] * double(states[i * cols + c]);
          ASSERT_NEAR(double(f.gradients[size_t(s)][i * cols + c]), back, 1e-5);
        }
      }
      EXPECT_NEAR(f.losses[size_t(s)], loss, 1e-6 * std::max(1.0, loss)) << "shard " << s;
    }
    for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(double(f.weights[table.at + i]), double(begin[table.at + i]) - 0.1 * gradient[i], 1e-5 * double(scale)) << i;
    for (size_t r = 0; r < rows; ++r) EXPECT_NEAR(double(f.weights[bias + r]), double(begin[bias + r]) - 0.1 * bias_gradient[r], 1e-5 * double(scale)) << r;
  }
}

TEST(TableSoftmax, BitsDoNotDependOnRanksOrThreads) {
  for (const auto& [rows, cols, scale] : {std::array<size_t, 3>{700, 5, 4}, {90, 3, 400}}) {
    const Found one = found(1, 1, rows, cols, scale, true);
    for (int ranks : {2, 3, 5, 8, 11}) {
      const Found other = found(ranks, ranks == 2 ? 3 : 1, rows, cols, scale, true, ranks == 3);
      EXPECT_EQ(other.losses, one.losses) << ranks;
      EXPECT_EQ(other.gradients, one.gradients) << ranks;
      EXPECT_EQ(other.weights, one.weights) << ranks;
    }
  }
}

// Two halves of the states, one after the other, are all of them but for rounding.
TEST(TableSoftmax, GradientsOfRunsAddUp) {
  constexpr size_t kRows = 300, kCols = 5, kStates = 40;
  const nn::Parameters parameters = model_of(kRows, kCols);
  nn::OptimizerOptions options;
  options.kind = nn::OptimizerOptions::Kind::kSgd, options.lr = 1;
  Random random(9, 1);
  std::vector<float> values(kStates * kCols);
  for (float& v : values) v = 2 * float(random.uniform()) - 1;
  std::vector<int32_t> targets(kStates);
  for (auto& target : targets) target = int32_t(random.below(kRows));
  const auto weights_after = [&](size_t pieces) {
    std::vector<float> whole(parameters.size());
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      ThreadPool pool(1);
      TableShards tables(comm, parameters, options);
      tables.initialize(1);
      const nn::Parameter bias = parameters.find("bias").where;
      TableSoftmax softmax(comm, tables, parameters, parameters.find("classes").where, &bias);
      nn::TableRows<float> none(parameters);
      std::vector<nn::TableRows<float>> nothing;
      tables.fetch(none);
      for (size_t k = 0; k < pieces; ++k) {
        const size_t begin = kStates * k / pieces, end = kStates * (k + 1) / pieces;
        softmax.run(pool, {{end - begin, &values[begin * kCols], {targets.begin() + ptrdiff_t(begin), targets.begin() + ptrdiff_t(end)}}});
      }
      tables.sum(nothing, none);
      softmax.add_gradient();
      tables.update(0.1, 1);
      tables.gather([&](size_t at, std::span<float> part) { std::copy(part.begin(), part.end(), whole.begin() + ptrdiff_t(at)); });
    });
    return whole;
  };
  const auto at_once = weights_after(1), halves = weights_after(2);
  for (size_t i = 0; i < at_once.size(); ++i) EXPECT_NEAR(halves[i], at_once[i], 1e-6) << i;
}

}  // namespace
}  // namespace throng::train
