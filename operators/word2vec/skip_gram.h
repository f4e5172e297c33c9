// The inner loop of word2vec on one shard: on private copies of the rows it touches, or on shared rows without locks.
// Internal to word2vec.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/random.h"

namespace throng::op {

/// Draws words with probability proportional to weights, in constant time (Vose's alias method).
class AliasTable {
 public:
  explicit AliasTable(const std::vector<double>& weights);
  int32_t draw(Random& random) const {
    uint32_t i = random.below(uint32_t(alias_.size()));
    return random.uniform_float() < threshold_[i] ? int32_t(i) : alias_[i];
  }

 private:
  std::vector<float> threshold_;
  std::vector<int32_t> alias_;
};

/// Word vectors, row-major: `in` is what is kept, `out` predicts.
struct Matrices {
  size_t dim = 0;
  std::vector<float> in, out;
};

/// Changes of one shard in one step: rows of `in` (number < words) and of `out` (number - words), and their new minus old values.
struct Changes {
  std::vector<int32_t> rows;
  std::vector<float> deltas;  // (rows, dim)
};

struct SkipGramOptions {
  int window = 5, negative = 5;
};

/// One worker's scratch; reused between steps. Not shared between threads.
class SkipGram {
 public:
  SkipGram(size_t num_words, size_t dim, SkipGramOptions options);
  /// Begins a step from `base`.
  void begin(const Matrices& base);
  /// Begins a step on the rows of `shared` themselves, which other workers change at the same time without locks (Niu et al.,
  /// Hogwild!, NIPS 2011): an update may be lost, none waits. `end` then has nothing to report.
  void begin_shared(Matrices& shared);
  /// Trains on one sentence (already thinned out), in the private rows or the shared ones.
  void sentence(std::span<const int32_t> words, float lr, Random& random, const AliasTable& negatives);
  /// What changed since `begin`, rows ascending.
  Changes end();
  /// Sum of -log p over the true pairs (the drawn ones are left out: their logarithms cost more than they tell).
  double loss() const { return loss_; }
  int64_t pairs() const { return pairs_; }

 private:
  float* row(int32_t number);
  size_t num_words_, dim_;
  SkipGramOptions options_;
  const Matrices* base_ = nullptr;
  Matrices* shared_ = nullptr;
  std::vector<int32_t> slot_of_;  // row number -> slot, -1
  std::vector<int32_t> touched_;
  std::vector<std::vector<float>> pages_;  // rows by slot; pages never move, so that row pointers stay good
  std::vector<float> input_change_;
  double loss_ = 0;
  int64_t pairs_ = 0;
};

}  // namespace throng::op
