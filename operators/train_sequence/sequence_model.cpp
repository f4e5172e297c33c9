#include "operators/train_sequence/sequence_model.h"

#include <algorithm>

#include "framework/nn/objective.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/vector_kernels.h"
#include "framework/train/layered_model.h"

namespace throng::op {

using nn::Tape;
using nn::Var;

SequenceModel::SequenceModel(nn::Parameters& p, ModelSizes sizes, Task task) : sizes_(std::move(sizes)), task_(task) {
  const size_t H = sizes_.hidden;
  const auto add_embeddings = [&] {
    for (size_t k = 0; k < sizes_.category_sizes.size(); ++k) embeddings_.emplace_back(p, "embedding" + std::to_string(k), sizes_.category_sizes[k], sizes_.embedding, nn::Initial::normal(1), sizes_.sparse);
  };
  if (!sizes_.sparse) add_embeddings();
  const size_t inputs = sizes_.category_sizes.size() * sizes_.embedding + sizes_.num_floats;
  if (sizes_.kind == ModelSizes::Kind::kRecurrent) {
    recurrent_ = nn::Recurrent(p, "recurrent", inputs, H, {sizes_.cell, sizes_.layers, false, sizes_.dropout, sizes_.recompute});
    if (sizes_.attention) {
      look_back_ = nn::MultiHeadAttention(p, "attention", H, {sizes_.heads, true, sizes_.dropout});
      join_ = nn::Linear(p, "join", 2 * H, H);
    }
  } else {
    enter_ = nn::Linear(p, "enter", inputs, H);
    position_ = nn::Embedding(p, "position", sizes_.longest, H, nn::Initial::normal(0.02));
    for (size_t l = 0; l < sizes_.layers; ++l)
      blocks_.emplace_back(p, "block" + std::to_string(l), nn::TransformerOptions{H, sizes_.heads, 4 * H, sizes_.dropout, true, true, nn::Activation::kGelu, sizes_.recompute});
    last_norm_ = nn::LayerNorm(p, "norm", H);
  }
  if (!output_is_table()) output_ = nn::Linear(p, "output", H, sizes_.outputs);
  if (sizes_.recent > 0) copy_ = nn::Linear(p, "copy", H, sizes_.recent);
  // Tables come last.
  if (sizes_.sparse) add_embeddings();
  if (output_is_table()) {
    const auto as_linear = nn::Initial::uniform(1 / std::sqrt(double(H)));
    output_.weight = p.add_table("output.weight", sizes_.outputs, H, as_linear);
    output_.bias = p.add_table("output.bias", sizes_.outputs, 1, as_linear);
  }
}

void SequenceModel::cut(const EncodedRows& rows, size_t begin, size_t end, std::vector<Piece>& into) const {
  const size_t most = has_attention() ? sizes_.longest : end - begin;
  if (begin == end) return;
  for (size_t at = begin;; at += std::max<size_t>(1, most / 2)) {
    const size_t stop = std::min(end, at + most);
    into.push_back({&rows, at, stop, into.empty() || at == begin ? begin : into.back().end});
    if (stop == end) return;
  }
}

Var SequenceModel::states(Tape<float>& t, const std::vector<Piece>& pieces, const std::function<void(size_t, size_t, const float*)>& see) const {
  std::vector<size_t> lengths;
  for (const auto& p : pieces) lengths.push_back(p.length());
  const nn::Segments segments = nn::Segments::of_lengths(lengths);
  const size_t N = segments.num_rows(), F = sizes_.num_floats;
  std::vector<Var> parts;
  std::vector<int32_t> ids(N);
  for (size_t k = 0; k < embeddings_.size(); ++k) {
    for (size_t s = 0; s < pieces.size(); ++s)
      std::copy_n(pieces[s].rows->categories[k].begin() + ptrdiff_t(pieces[s].begin), pieces[s].length(), ids.begin() + ptrdiff_t(segments.begin(s)));
    parts.push_back(embeddings_[k](t, ids));
  }
  if (F > 0) {
    float* floats = t.scratch(N * F);
    for (size_t s = 0; s < pieces.size(); ++s)
      std::copy_n(pieces[s].rows->floats.begin() + ptrdiff_t(pieces[s].begin * F), pieces[s].length() * F, floats + segments.begin(s) * F);
    parts.push_back(t.constant(floats, N, F));
  }
  Var x = nn::dropout(t, nn::concat<float>(t, parts), sizes_.dropout);
  if (sizes_.kind == ModelSizes::Kind::kRecurrent) {
    const Var h = recurrent_(t, x, segments);
    if (!sizes_.attention) return h;
    const Var both[] = {h, look_back_(t, h, segments, h, segments, see)};
    return nn::activate(t, join_(t, nn::concat<float>(t, both)), nn::Activation::kTanh);
  }
  for (size_t s = 0; s < pieces.size(); ++s)
    for (size_t i = 0; i < pieces[s].length(); ++i) ids[segments.begin(s) + i] = int32_t(i);
  x = nn::add(t, enter_(t, x), position_(t, ids));
  for (const auto& block : blocks_) x = &block == &blocks_.back() ? block(t, x, segments, see) : block(t, x, segments);
  return last_norm_(t, x);
}

SequenceModel::Targets SequenceModel::targets_of(const std::vector<Piece>& pieces, EncodedRows::Use use) const {
  Targets found;
  uint32_t n = 0;
  for (const auto& piece : pieces)
    for (size_t r = piece.begin; r < piece.end; ++r, ++n) {
      const auto& rows = *piece.rows;
      if (r < piece.from || rows.use[r] != use || (task_ == Task::kCategory && rows.target_class[r] < 0)) continue;
      found.rows.push_back(n);
      found.classes.push_back(rows.target_class[r]);
      found.numbers.push_back(rows.target_number[r]);
      found.recent.insert(found.recent.end(), rows.recent.begin() + ptrdiff_t(r * sizes_.recent), rows.recent.begin() + ptrdiff_t((r + 1) * sizes_.recent));
    }
  return found;
}

Var SequenceModel::put_states(Tape<float>& t, const std::vector<Piece>& pieces, EncodedRows::Use use, std::vector<int32_t>& classes) const {
  Targets targets = targets_of(pieces, use);
  classes = std::move(targets.classes);
  return classes.empty() ? Var() : nn::gather_rows<float>(t, states(t, pieces), targets.rows);
}

void SequenceModel::want_rows(const std::vector<Piece>& pieces, nn::TableRows<float>& wanted) const {
  for (size_t k = 0; k < embeddings_.size(); ++k)
    if (auto* rows = wanted.find(embeddings_[k].table.at))
      for (const auto& piece : pieces)
        for (const int32_t value : piece.rows->categories[k].subspan(piece.begin, piece.length())) rows->want(value);
}

int64_t SequenceModel::put_loss(Tape<float>& t, const std::vector<Piece>& pieces, EncodedRows::Use use) const {
  const Targets targets = targets_of(pieces, use);
  if (targets.rows.empty()) return 0;
  const Var h = nn::gather_rows<float>(t, states(t, pieces), targets.rows);
  if (task_ == Task::kCategory) {
    std::optional<nn::SparseScores> copied;
    if (sizes_.recent > 0) copied = nn::SparseScores{copy_(t, h), targets.recent};
    nn::linear_cross_entropy<float>(t, h, output_.weight, output_.bias, targets.classes, 1, 0, copied);
  } else if (task_ == Task::kEvent) {
    nn::binary_cross_entropy<float>(t, output_(t, h), targets.numbers);
  } else {
    nn::squared_error<float>(t, output_(t, h), targets.numbers);
  }
  return int64_t(targets.rows.size());
}

void SequenceModel::predict(const nn::Parameters& parameters, std::span<const float> weights, const std::vector<Piece>& pieces, const std::function<void(const Piece&, size_t, std::span<const float>)>& visit, Attended* attended) const {
  const size_t H = sizes_.hidden, K = sizes_.outputs, J = sizes_.recent;
  // Pieces, and logits of so many rows, at a time: 16 MiB of them, or a row.
  constexpr size_t kGroup = 32;
  const size_t block = std::clamp<size_t>((size_t{4} << 20) / K, 1, 512);
  const float *w_out = &weights[output_.weight.at], *b_out = &weights[output_.bias->at];
  auto& t = train::thread_tape();
  std::vector<float> out;
  for (size_t first = 0; first < pieces.size(); first += kGroup) {
    const std::vector<Piece> group(pieces.begin() + ptrdiff_t(first), pieces.begin() + ptrdiff_t(std::min(pieces.size(), first + kGroup)));
    t.start(parameters, weights, {});
    std::vector<float> mean;  // over the heads so far, of one piece
    const auto see = [&](size_t number, size_t head, const float* weights) {
      const Piece& piece = group[number];
      const size_t n = piece.length();
      if (head == 0) mean.assign(n * n, 0.0f);
      for (size_t i = 0; i < n * n; ++i) mean[i] += weights[i] / float(sizes_.heads);
      if (head + 1 < sizes_.heads) return;
      for (size_t r = piece.from; r < piece.end; ++r) attended->see(r, std::span(mean).subspan((r - piece.begin) * n, r - piece.begin + 1));
    };
    const Var h = attended ? states(t, group, see) : states(t, group);
    std::vector<std::pair<const Piece*, size_t>> place;
    for (const auto& p : group)
      for (size_t r = p.begin; r < p.end; ++r) place.emplace_back(&p, r);
    for (size_t at = 0; at < place.size(); at += block) {
      const size_t rows = std::min(block, place.size() - at);
      out.resize(rows * K);
      for (size_t m = 0; m < rows; ++m) std::copy_n(b_out, K, &out[m * K]);
      tensor::gemm(tensor::Side::kPlain, tensor::Side::kTransposed, rows, K, H, 1.0f, t.value(h) + at * H, w_out, 1.0f, out.data());
      for (size_t m = 0; m < rows; ++m) {
        const auto [piece, row] = place[at + m];
        if (row < piece->from) continue;
        for (size_t j = 0; j < J; ++j)
          if (const int32_t value = piece->rows->recent[row * J + j]; value >= 0)
            out[m * K + size_t(value)] += tensor::dot(&weights[copy_.weight.at + j * H], t.value(h) + (at + m) * H, H) + weights[copy_.bias->at + j];
        visit(*piece, row, {&out[m * K], K});
      }
    }
  }
}

}  // namespace throng::op
