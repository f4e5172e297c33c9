#include "operators/word2vec/skip_gram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/tensor/vector_kernels.h"

namespace throng::op {
namespace {

constexpr size_t kPageRows = 256;
constexpr float kLimit = 6.0f;
constexpr size_t kTable = 1024;

// The logistic function in [-6, 6], by table as in the original word2vec.
float logistic(float x) {
  static const auto table = [] {
    std::array<float, kTable + 1> t{};
    for (size_t i = 0; i <= kTable; ++i) t[i] = float(1.0 / (1.0 + std::exp(-(double(i) / kTable * 2 - 1) * double(kLimit))));
    return t;
  }();
  if (x >= kLimit) return 1.0f;
  if (x <= -kLimit) return 0.0f;
  return table[size_t((x + kLimit) * (float(kTable) / (2 * kLimit)) + 0.5f)];
}

}  // namespace

AliasTable::AliasTable(const std::vector<double>& weights) : threshold_(weights.size(), 1.0f), alias_(weights.size()) {
  double total = 0;
  for (double w : weights) total += w;
  std::vector<double> scaled;
  std::vector<size_t> small, large;
  for (size_t i = 0; i < weights.size(); ++i) {
    alias_[i] = int32_t(i);
    scaled.push_back(weights[i] * double(weights.size()) / total);
    (scaled[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    size_t s = small.back(), l = large.back();
    small.pop_back();
    threshold_[s] = float(scaled[s]);
    alias_[s] = int32_t(l);
    scaled[l] -= 1 - scaled[s];
    if (scaled[l] < 1) large.pop_back(), small.push_back(l);
  }
}

SkipGram::SkipGram(size_t num_words, size_t dim, SkipGramOptions options)
    : num_words_(num_words), dim_(dim), options_(options), slot_of_(2 * num_words, -1), input_change_(dim) {}

void SkipGram::begin(const Matrices& base) {
  base_ = &base, shared_ = nullptr;
  loss_ = 0, pairs_ = 0;
}

void SkipGram::begin_shared(Matrices& shared) {
  base_ = nullptr, shared_ = &shared;
  loss_ = 0, pairs_ = 0;
}

float* SkipGram::row(int32_t number) {
  if (shared_) return size_t(number) < num_words_ ? &shared_->in[size_t(number) * dim_] : &shared_->out[(size_t(number) - num_words_) * dim_];
  int32_t& slot = slot_of_[size_t(number)];
  if (slot < 0) {
    slot = int32_t(touched_.size());
    touched_.push_back(number);
    if (size_t(slot) / kPageRows >= pages_.size()) pages_.emplace_back(kPageRows * dim_);
    const float* from = size_t(number) < num_words_ ? &base_->in[size_t(number) * dim_] : &base_->out[(size_t(number) - num_words_) * dim_];
    std::copy_n(from, dim_, &pages_[size_t(slot) / kPageRows][size_t(slot) % kPageRows * dim_]);
  }
  return &pages_[size_t(slot) / kPageRows][size_t(slot) % kPageRows * dim_];
}

void SkipGram::sentence(std::span<const int32_t> words, float lr, Random& random, const AliasTable& negatives) {
  const int n = int(words.size());
  std::array<float*, 101> targets;
  std::array<float, 101> labels;
  for (int centre = 0; centre < n; ++centre) {
    // Predict the centre word from each word around it; the drawn negatives serve the whole window.
    int reach = 1 + int(random.below(uint32_t(options_.window)));
    size_t num_targets = 0;
    targets[num_targets] = row(int32_t(num_words_) + words[size_t(centre)]), labels[num_targets++] = 1;
    for (int k = 0; k < options_.negative; ++k) {
      int32_t word = negatives.draw(random);
      if (word == words[size_t(centre)]) continue;
      targets[num_targets] = row(int32_t(num_words_) + word), labels[num_targets++] = 0;
    }
    for (int c = std::max(0, centre - reach); c <= std::min(n - 1, centre + reach); ++c) {
      if (c == centre) continue;
      float* input = row(words[size_t(c)]);
      std::fill(input_change_.begin(), input_change_.end(), 0.0f);
      for (size_t k = 0; k < num_targets; ++k) {
        float p = logistic(tensor::dot(input, targets[k], dim_));
        float g = (labels[k] - p) * lr;
        if (k == 0) loss_ -= std::log(std::max(1e-6f, p));
        tensor::axpy(g, targets[k], input_change_.data(), dim_);
        tensor::axpy(g, input, targets[k], dim_);
      }
      tensor::axpy(1.0f, input_change_.data(), input, dim_);
      ++pairs_;
    }
  }
}

Changes SkipGram::end() {
  Changes changes;
  changes.rows = touched_;
  std::sort(changes.rows.begin(), changes.rows.end());
  changes.deltas.resize(changes.rows.size() * dim_);
  for (size_t i = 0; i < changes.rows.size(); ++i) {
    const int32_t number = changes.rows[i];
    const float* now = row(number);
    const float* before = size_t(number) < num_words_ ? &base_->in[size_t(number) * dim_] : &base_->out[(size_t(number) - num_words_) * dim_];
    for (size_t d = 0; d < dim_; ++d) changes.deltas[i * dim_ + d] = now[d] - before[d];
  }
  for (int32_t number : touched_) slot_of_[size_t(number)] = -1;
  touched_.clear();
  return changes;
}

}  // namespace throng::op
