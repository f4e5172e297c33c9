// A softmax over rows that a minibatch shares: against a plain loop, and the same bits on any number of ranks.
#include "framework/train/sampled_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"

namespace throng::train {
namespace {

constexpr int kShards = 8;

struct Shape {
  size_t rows, cols, scale, sampled;
  bool corrected, frozen = false;
};

struct Found {
  std::vector<double> losses;  // by shard
  std::vector<std::vector<float>> states, gradients;
};

/// Shard s has (s * 5) % 7 * scale states, so that some have none.
size_t count_of(int shard, size_t scale) { return size_t(shard * 5 % 7) * scale; }
std::vector<float> numbers(uint64_t stream, size_t n) {
  Random random(3, stream);
  std::vector<float> values(n);
  for (float& v : values) v = 2 * float(random.uniform()) - 1;
  return values;
}
std::vector<int32_t> rows_of(uint64_t stream, size_t n, size_t rows) {
  Random random(4, stream);
  std::vector<int32_t> found(n);
  for (auto& row : found) row = int32_t(random.below(uint32_t(rows)));
  return found;
}
std::vector<int32_t> sample_of(const Shape& shape) { return rows_of(100, shape.sampled, shape.rows); }
std::vector<float> log_q_of(const Shape& shape) { return shape.corrected ? numbers(101, shape.rows) : std::vector<float>(); }

Found found(int ranks, int threads, const Shape& shape) {
  nn::Parameters parameters;
  const auto table = parameters.add("classes", shape.rows, shape.cols, nn::Initial::normal(1));
  if (shape.frozen) parameters.freeze("classes");
  const auto weights = numbers(102, parameters.size());
  const auto log_q = log_q_of(shape);
  const auto sample = sample_of(shape);
  Found result;
  result.losses.resize(kShards), result.states.resize(kShards), result.gradients.resize(kShards);
  std::mutex mutex;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    ThreadPool pool(threads);
    SampledSoftmax softmax(comm, table, kShards, log_q);
    const int first = comm.first_shard(comm.rank(), kShards), end = comm.first_shard(comm.rank() + 1, kShards);
    std::vector<std::vector<float>> values, gradients;
    std::vector<SoftmaxStates> states;
    for (int s = first; s < end; ++s) {
      values.push_back(numbers(uint64_t(s), count_of(s, shape.scale) * shape.cols));
      gradients.emplace_back(parameters.size(), 0.0f);
    }
    for (int s = first; s < end; ++s) states.push_back({count_of(s, shape.scale), values[size_t(s - first)].data(), rows_of(uint64_t(s), count_of(s, shape.scale), shape.rows)});
    nn::TableRows<float> none;
    const auto outcomes = softmax.run(pool, states, SampledRows(sample), [&](size_t s, nn::Tape<float>& tape) { tape.start(parameters, weights, gradients[s], 0, 0, &none); });
    std::lock_guard lock(mutex);
    for (int s = first; s < end; ++s) {
      const size_t at = size_t(s - first);
      result.losses[size_t(s)] = outcomes[at].loss, result.states[size_t(s)] = outcomes[at].gradient, result.gradients[size_t(s)] = gradients[at];
    }
  });
  return result;
}

// Fewer sampled than shards; a catalogue so small that rows are drawn twice and are a state's own; more states than are gone through at a time.
const std::vector<Shape> kShapes{{50, 6, 3, 5, false}, {20, 6, 3, 40, true}, {900, 7, 5, 100, true}, {90, 3, 120, 33, true}, {50, 6, 3, 17, true, true}, {50, 6, 3, 0, false}};

TEST(SampledSoftmax, IsWhatAPlainLoopSays) {
  for (const Shape& shape : kShapes) {
    const auto weights = numbers(102, shape.rows * shape.cols), log_q = log_q_of(shape);
    const auto sample = sample_of(shape);
    const Found f = found(3, 2, shape);
    std::vector<double> gradient(weights.size());
    for (int s = 0; s < kShards; ++s) {
      const size_t n = count_of(s, shape.scale);
      const auto states = numbers(uint64_t(s), n * shape.cols);
      const auto targets = rows_of(uint64_t(s), n, shape.rows);
      double loss = 0;
      ASSERT_EQ(f.states[size_t(s)].size(), states.size());
      for (size_t i = 0; i < n; ++i) {
        std::vector<int32_t> against{targets[i]};
        for (int32_t row : sample)
          if (row != targets[i]) against.push_back(row);
        std::vector<double> p;
        double sum = 0;
        for (int32_t row : against) {
          double score = log_q.empty() ? 0 : -double(log_q[size_t(row)]);
          for (size_t c = 0; c < shape.cols; ++c) score += double(weights[size_t(row) * shape.cols + c]) * double(states[i * shape.cols + c]);
          p.push_back(std::exp(score)), sum += p.back();
        }
        loss -= std::log(p[0] / sum);
        std::vector<double> back(shape.cols);
        for (size_t k = 0; k < against.size(); ++k)
          for (size_t c = 0; c < shape.cols; ++c) {
            const double d = p[k] / sum - (k == 0), w = double(weights[size_t(against[k]) * shape.cols + c]);
            back[c] += d * w, gradient[size_t(against[k]) * shape.cols + c] += d * double(states[i * shape.cols + c]);
          }
        for (size_t c = 0; c < shape.cols; ++c) ASSERT_NEAR(double(f.states[size_t(s)][i * shape.cols + c]), back[c], 1e-5);
      }
      EXPECT_NEAR(f.losses[size_t(s)], loss, 2e-6 * std::max(1.0, loss)) << "shard " << s;
    }
    for (size_t i = 0; i < gradient.size(); ++i) {
      double sum = 0;
      for (const auto& of_shard : f.gradients) sum += double(of_shard[i]);
      EXPECT_NEAR(sum, shape.frozen ? 0 : gradient[i], 1e-5 * double(shape.scale)) << i;
    }
  }
}

TEST(SampledSoftmax, BitsDoNotDependOnRanksOrThreads) {
  for (const Shape& shape : kShapes) {
    const Found one = found(1, 1, shape);
    for (int ranks : {2, 3, 5, 8, 11}) {
      const Found other = found(ranks, ranks == 2 ? 3 : 1, shape);
      EXPECT_EQ(other.losses, one.losses) << ranks;
      EXPECT_EQ(other.states, one.states) << ranks;
      EXPECT_EQ(other.gradients, one.gradients) << ranks;
    }
  }
}

}  // namespace
}  // namespace throng::train
