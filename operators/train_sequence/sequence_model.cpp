#include "operators/train_sequence/sequence_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/base/random.h"
#include "framework/nn/losses.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::op {

using tensor::gemm;
using tensor::Side;

struct SequenceModel::Run {
  nn::Packing packing;
  std::vector<std::pair<size_t, size_t>> place;  // packed row -> (piece, row in its partition)
  std::vector<float> x;
  std::vector<std::vector<float>> h;
  std::vector<nn::RecurrentLayer<float>::Cache> caches;
};

SequenceModel::SequenceModel(LayerSizes sizes, Task task) : sizes_(std::move(sizes)), task_(task) {
  size_t at = 0;
  for (size_t values : sizes_.category_sizes) {
    embedding_at_.push_back(at);
    at += values * sizes_.embedding;
  }
  input_size_ = sizes_.category_sizes.size() * sizes_.embedding + sizes_.num_floats;
  for (size_t l = 0; l < sizes_.layers; ++l) {
    layers_.emplace_back(sizes_.cell, l == 0 ? input_size_ : sizes_.hidden, sizes_.hidden);
    layer_at_.push_back(at);
    at += layers_.back().num_weights();
  }
  output_at_ = at;
  copy_at_ = at + sizes_.outputs * (sizes_.hidden + 1);
  num_weights_ = copy_at_ + sizes_.recent * (sizes_.hidden + 1);
}

void SequenceModel::initialize(std::vector<float>& weights, uint64_t seed) const {
  // As PyTorch does: uniform in +-1/sqrt(hidden) for recurrent and linear layers, standard normal for embeddings.
  const float bound = 1.0f / std::sqrt(float(sizes_.hidden));
  const size_t embeddings = layer_at_[0];
  Random random(seed, 0x1717);
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = i < embeddings ? float(random.normal()) : bound * (2 * random.uniform_float() - 1);
}

void SequenceModel::add_copy_scores(const float* weights, const float* h, const EncodedRows& rows, size_t row, float* out) const {
  const size_t H = sizes_.hidden;
  for (size_t k = 0; k < sizes_.recent; ++k) {
    int32_t value = rows.recent[row * sizes_.recent + k];
    const float* w = weights + copy_at_ + k * (H + 1);
    if (value >= 0) out[value] += tensor::dot(w, h, H) + w[H];
  }
}

void SequenceModel::forward(const std::vector<float>& weights, std::vector<Piece>& pieces, Run& run) const {
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.length() > b.length(); });
  std::vector<size_t> lengths;
  for (const auto& p : pieces) lengths.push_back(p.length());
  run.packing = nn::Packing::of(lengths);
  const size_t N = run.packing.num_rows(), E = sizes_.embedding, F = sizes_.num_floats;
  run.place.resize(N);
  run.x.resize(N * input_size_);
  for (size_t t = 0; t < run.packing.num_steps(); ++t)
    for (size_t j = 0; j < run.packing.sizes[t]; ++j) {
      const size_t n = run.packing.offsets[t] + j, row = pieces[j].begin + t;
      run.place[n] = {j, row};
      float* x = &run.x[n * input_size_];
      for (size_t k = 0; k < embedding_at_.size(); ++k) {
        const float* vector = &weights[embedding_at_[k] + size_t(pieces[j].rows->categories[k][row]) * E];
        std::copy(vector, vector + E, x + k * E);
      }
      const float* floats = pieces[j].rows->floats.data() + row * F;
      std::copy(floats, floats + F, x + embedding_at_.size() * E);
    }
  run.h.assign(layers_.size(), {});
  run.caches.resize(layers_.size());
  for (size_t l = 0; l < layers_.size(); ++l) {
    run.h[l].resize(N * sizes_.hidden);
    layers_[l].forward(run.packing, &weights[layer_at_[l]], l == 0 ? run.x.data() : run.h[l - 1].data(), run.h[l].data(), run.caches[l]);
  }
}

double SequenceModel::gradient(const std::vector<float>& weights, std::vector<Piece> pieces, EncodedRows::Use use, std::span<float> grad, int64_t& targets) const {
  Run run;
  forward(weights, pieces, run);
  const size_t H = sizes_.hidden, K = sizes_.outputs, N = run.packing.num_rows();
  // The output layer sees only rows that have something to predict.
  std::vector<size_t> chosen;
  std::vector<int32_t> classes;
  std::vector<float> numbers;
  for (size_t n = 0; n < N; ++n) {
    const auto& rows = *pieces[run.place[n].first].rows;
    const size_t r = run.place[n].second;
    if (rows.use[r] != use || (task_ == Task::kCategory && rows.target_class[r] < 0)) continue;
    chosen.push_back(n);
    classes.push_back(rows.target_class[r]);
    numbers.push_back(rows.target_number[r]);
  }
  targets = int64_t(chosen.size());
  if (chosen.empty()) return 0;
  const size_t M = chosen.size();
  const float* w_out = &weights[output_at_];
  const float* b_out = w_out + K * H;
  std::vector<float> h(M * H), out(M * K);
  for (size_t m = 0; m < M; ++m) {
    std::copy_n(&run.h.back()[chosen[m] * H], H, &h[m * H]);
    std::copy_n(b_out, K, &out[m * K]);
  }
  gemm(Side::kPlain, Side::kTransposed, M, K, H, 1.0f, h.data(), w_out, 1.0f, out.data());
  for (size_t m = 0; m < M; ++m) {
    const auto& [piece, row] = run.place[chosen[m]];
    add_copy_scores(weights.data(), &h[m * H], *pieces[piece].rows, row, &out[m * K]);
  }
  double loss = task_ == Task::kCategory ? nn::softmax_cross_entropy(out.data(), classes.data(), M, K, 1.0f)
                : task_ == Task::kEvent  ? nn::binary_cross_entropy(out.data(), numbers.data(), M, 1.0f)
                                         : nn::squared_error(out.data(), numbers.data(), M, 1.0f);
  if (grad.empty()) return loss;

  gemm(Side::kTransposed, Side::kPlain, K, H, M, 1.0f, out.data(), h.data(), 1.0f, &grad[output_at_]);
  float* db = &grad[output_at_ + K * H];
  for (size_t m = 0; m < M; ++m)
    for (size_t k = 0; k < K; ++k) db[k] += out[m * K + k];
  std::vector<float> dh_chosen(M * H);
  gemm(Side::kPlain, Side::kPlain, M, H, K, 1.0f, out.data(), w_out, 0.0f, dh_chosen.data());
  for (size_t m = 0; m < M; ++m) {
    const auto& [piece, row] = run.place[chosen[m]];
    for (size_t k = 0; k < sizes_.recent; ++k) {
      const int32_t value = pieces[piece].rows->recent[row * sizes_.recent + k];
      if (value < 0) continue;
      const float d = out[m * K + size_t(value)];
      const size_t gate = copy_at_ + k * (H + 1);
      tensor::axpy(d, &h[m * H], &grad[gate], H);
      grad[gate + H] += d;
      tensor::axpy(d, &weights[gate], &dh_chosen[m * H], H);
    }
  }
  std::vector<float> dh(N * H, 0.0f), dx;
  for (size_t m = 0; m < M; ++m) std::copy_n(&dh_chosen[m * H], H, &dh[chosen[m] * H]);
  for (size_t l = layers_.size(); l-- > 0;) {
    dx.resize(N * layers_[l].inputs());
    layers_[l].backward(run.packing, &weights[layer_at_[l]], l == 0 ? run.x.data() : run.h[l - 1].data(), run.h[l].data(), run.caches[l], dh.data(),
                        &grad[layer_at_[l]], dx.data());
    dh = dx;
  }
  const size_t E = sizes_.embedding;
  for (size_t n = 0; n < N; ++n)
    for (size_t k = 0; k < embedding_at_.size(); ++k) {
      const auto& piece = pieces[run.place[n].first];
      float* vector = &grad[embedding_at_[k] + size_t(piece.rows->categories[k][run.place[n].second]) * E];
      const float* d = &dx[n * input_size_ + k * E];
      for (size_t i = 0; i < E; ++i) vector[i] += d[i];
    }
  return loss;
}

void SequenceModel::predict(const std::vector<float>& weights, std::vector<Piece> pieces,
                            const std::function<void(const Piece&, size_t, std::span<const float>)>& visit) const {
  constexpr size_t kGroup = 32;
  const size_t H = sizes_.hidden, K = sizes_.outputs;
  const float* w_out = &weights[output_at_];
  for (size_t first = 0; first < pieces.size(); first += kGroup) {
    std::vector<Piece> group(pieces.begin() + ptrdiff_t(first), pieces.begin() + ptrdiff_t(std::min(pieces.size(), first + kGroup)));
    Run run;
    forward(weights, group, run);
    const size_t N = run.packing.num_rows();
    constexpr size_t kBlock = 512;  // logits of so many rows at a time
    std::vector<float> out;
    for (size_t at = 0; at < N; at += kBlock) {
      const size_t rows = std::min(kBlock, N - at);
      out.resize(rows * K);
      for (size_t m = 0; m < rows; ++m) std::copy_n(w_out + K * H, K, &out[m * K]);
      gemm(Side::kPlain, Side::kTransposed, rows, K, H, 1.0f, &run.h.back()[at * H], w_out, 1.0f, out.data());
      for (size_t m = 0; m < rows; ++m) {
        const auto& [piece, row] = run.place[at + m];
        add_copy_scores(weights.data(), &run.h.back()[(at + m) * H], *group[piece].rows, row, &out[m * K]);
      }
      for (size_t m = 0; m < rows; ++m) visit(group[run.place[at + m].first], run.place[at + m].second, {&out[m * K], K});
    }
  }
}

}  // namespace throng::op
