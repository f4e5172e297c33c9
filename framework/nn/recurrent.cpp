#include "framework/nn/recurrent.h"

#include <algorithm>
#include <cstring>

#include "framework/base/buffer.h"
#include "framework/base/error.h"
#include "framework/nn/cell_kernels.h"
#include "framework/tensor/activations.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

using tensor::Side;

using tensor::PackedMatrix;

Packing Packing::of(std::span<const size_t> lengths) {
  Packing p;
  p.offsets.push_back(0);
  const size_t steps = lengths.empty() ? 0 : lengths[0];
  size_t alive = lengths.size();
  for (size_t t = 0; t < steps; ++t) {
    while (alive > 0 && lengths[alive - 1] <= t) --alive;
    p.sizes.push_back(alive);
    p.offsets.push_back(p.offsets.back() + alive);
  }
  for (size_t j = 1; j < lengths.size(); ++j) THRONG_CHECK(lengths[j] <= lengths[j - 1], "length {} after {}", lengths[j], lengths[j - 1]);
  return p;
}

namespace {

// Where the weights of a layer lie.
template <class T, class P>
struct Weights {
  P *w_ih, *w_hh, *b_ih, *b_hh;
  Weights(P* all, size_t gates, size_t inputs, size_t hidden) : w_ih(all), w_hh(w_ih + gates * inputs), b_ih(w_hh + gates * hidden), b_hh(b_ih + gates) {}
};

// Steps [first, end) that together have rows enough for a product to be worth its call, and few enough that what it makes is still in the cache when the
// steps come to it.
size_t block_end(const Packing& packing, size_t first) {
  constexpr size_t kRows = 64;
  size_t end = first, rows = 0;
  while (end < packing.num_steps() && rows < kRows) rows += packing.sizes[end++];
  return end;
}
size_t block_begin(const Packing& packing, size_t end) {
  constexpr size_t kRows = 64;
  size_t first = end, rows = 0;
  while (first > 0 && rows < kRows) rows += packing.sizes[--first];
  return first;
}

template <class T>
void add_rows(const T* rows, size_t count, size_t width, T* into) {
  for (size_t r = 0; r < count; ++r) tensor::add(rows + r * width, into, width);
}

}  // namespace

template <class T>
void RecurrentLayer<T>::forward(tensor::PackedCache<T>& packed, const Packing& packing, const T* weights, const T* x, T* h, T* kept, Begin begin) const {
  const size_t H = hidden_, G = num_gates(cell_) * H, N = packing.num_rows();
  if (N == 0) return;
  const Weights<T, const T> w(weights, G, inputs_, H);
  const auto& kernels = CellKernels<T>::get();
  const bool gru = cell_ == Cell::kGru, before = cell_ == Cell::kGruBefore;
  const Cache<T*> cache = parts(kept, N);

  // The recurrent side adds to the same sums as the input side, save for GRU's candidate: that of the one form is needed apart, that of the other waits for
  // the reset gate.
  std::vector<T> bias(w.b_ih, w.b_ih + G);
  tensor::add(w.b_hh, bias.data(), gru ? 2 * H : G);
  const auto& from_input = packed.get(Side::kTransposed, inputs_, G, w.w_ih);
  const auto &recurrent = packed.get(Side::kTransposed, H, before ? 2 * H : G, w.w_hh), &last = packed.get(Side::kTransposed, H, before ? H : 0, w.w_hh + 2 * H * H * before);
  const size_t widest = packing.sizes[0];
  const std::vector<T> zeros(widest * H, T(0)), no_bias(gru ? G : 0, T(0));
  std::vector<T> sums(gru ? widest * G : before ? widest * 2 * H : 0), candidates(before ? widest * H : 0);
  for (size_t first = 0, end; first < packing.num_steps(); first = end) {
    end = block_end(packing, first);
    const size_t from = packing.offsets[first];
    from_input.multiply(packing.offsets[end] - from, x + from * inputs_, bias.data(), &cache.gates[from * G]);
    for (size_t t = first; t < end; ++t) {
      const size_t rows = packing.sizes[t], at = packing.offsets[t];
      const T* h_before = t > 0 ? h + packing.offsets[t - 1] * H : begin.h ? begin.h : zeros.data();
      T* gates = &cache.gates[at * G];
      if (before) {
        reset_before(rows, recurrent, last, sums, candidates, h_before, gates, &cache.inner[at * H], h + at * H);
        continue;
      }
      if (gru) recurrent.multiply(rows, h_before, no_bias.data(), sums.data());
      else if (t > 0 || begin.h) recurrent.multiply_add(rows, h_before, gates);
      for (size_t j = 0; j < rows; ++j) {
        T *gate = gates + j * G, *out = h + (at + j) * H;
        switch (cell_) {
          case Cell::kLstm:
            kernels.lstm_forward(gate, t > 0 ? &cache.cells[(packing.offsets[t - 1] + j) * H] : begin.c ? begin.c + j * H : nullptr, &cache.cells[(at + j) * H], &cache.inner[(at + j) * H], out, H);
            break;
          case Cell::kGru: kernels.gru_forward(gate, &sums[j * G], w.b_hh + 2 * H, h_before + j * H, &cache.inner[(at + j) * H], out, H); break;
          case Cell::kRnn: kernels.tanh_forward(gate, out, H); break;
          default:
            for (size_t i = 0; i < H; ++i) out[i] = gate[i] = gate[i] > 0 ? gate[i] : T(0);
        }
      }
    }
  }
}

// One step: r and z from h, then the candidate from r h.
template <class T>
void RecurrentLayer<T>::reset_before(size_t rows, const PackedMatrix<T>& gate_product, const PackedMatrix<T>& candidate_product, std::vector<T>& sums, std::vector<T>& candidates,
                                     const T* h_before, T* gates, T* inner, T* h) const {
  const size_t H = hidden_, G = 3 * H;
  std::fill(sums.begin(), sums.end(), T(0));
  std::fill(candidates.begin(), candidates.end(), T(0));
  gate_product.multiply_add(rows, h_before, sums.data());
  for (size_t j = 0; j < rows; ++j) {
    T* gate = gates + j * G;
    for (size_t i = 0; i < 2 * H; ++i) gate[i] += sums[j * 2 * H + i];
    tensor::sigmoid(gate, 2 * H);
    for (size_t i = 0; i < H; ++i) inner[j * H + i] = gate[i] * h_before[j * H + i];
  }
  candidate_product.multiply_add(rows, inner, candidates.data());
  for (size_t j = 0; j < rows; ++j) {
    T *gate = gates + j * G, *n = gate + 2 * H;
    for (size_t i = 0; i < H; ++i) n[i] += candidates[j * H + i];
    tensor::tanh(n, H);
    for (size_t i = 0; i < H; ++i) h[j * H + i] = (T(1) - gate[H + i]) * n[i] + gate[H + i] * h_before[j * H + i];
  }
}

template <class T>
void RecurrentLayer<T>::backward(tensor::PackedCache<T>& packed, const Packing& packing, const T* weights, const T* x, const T* h, const T* kept, const T* dh, T* dweights, T* dx, Begin begin) const {
  const size_t H = hidden_, G = num_gates(cell_) * H, N = packing.num_rows();
  if (N == 0) return;
  const Weights<T, const T> w(weights, G, inputs_, H);
  const auto& kernels = CellKernels<T>::get();
  const bool gru = cell_ == Cell::kGru, before = cell_ == Cell::kGruBefore;
  const size_t widest = packing.sizes[0];
  const Cache<const T*> cache = parts(kept, N);
  // Gradients of the gates before activation: on the input side, and (GRU's candidate differs) on the recurrent side.
  AlignedVector<T> d_input(N * G), d_recurrent(gru ? N * G : 0);
  AlignedVector<T> carry(widest * H, T(0)), carry_cell(cell_ == Cell::kLstm ? widest * H : 0, T(0)), total(widest * H);
  const std::vector<T> zeros(widest * H, T(0)), no_input(inputs_, T(0));
  const auto &recurrent = packed.get(Side::kPlain, before ? 2 * H : G, H, w.w_hh), &last = packed.get(Side::kPlain, before ? H : 0, H, w.w_hh + 2 * H * H * before);
  const auto& to_input = packed.get(Side::kPlain, dx ? G : 0, inputs_, w.w_ih);
  AlignedVector<T> gates(before ? widest * 2 * H : 0), candidates(before ? widest * H : 0), into_candidate(before ? widest * H : 0);

  for (size_t end = packing.num_steps(), first; end > 0; end = first) {
    first = block_begin(packing, end);
    for (size_t t = end; t-- > first;) {
      const size_t rows = packing.sizes[t], at = packing.offsets[t];
      const T* h_before = t > 0 ? h + packing.offsets[t - 1] * H : begin.h ? begin.h : zeros.data();
      tensor::sum(dh + at * H, carry.data(), total.data(), rows * H);
      for (size_t j = 0; j < rows; ++j) {
        const T *gate = &cache.gates[(at + j) * G], *d_out = &total[j * H];
        T* d = &d_input[(at + j) * G];
        switch (cell_) {
          case Cell::kLstm:
            kernels.lstm_backward(gate, &cache.inner[(at + j) * H], t > 0 ? &cache.cells[(packing.offsets[t - 1] + j) * H] : begin.c ? begin.c + j * H : zeros.data(), d_out, &carry_cell[j * H], d, H);
            break;
          case Cell::kGru: kernels.gru_backward(gate, &cache.inner[(at + j) * H], h_before + j * H, d_out, d, &d_recurrent[(at + j) * G], H); break;
          case Cell::kRnn: kernels.tanh_backward(gate, d_out, d, H); break;
          case Cell::kRnnRelu:
            for (size_t i = 0; i < H; ++i) d[i] = gate[i] > 0 ? d_out[i] : T(0);
            break;
          case Cell::kGruBefore:
            for (size_t i = 0; i < H; ++i) {
              const T update = gate[H + i], candidate = gate[2 * H + i];
              d[H + i] = d_out[i] * (h_before[j * H + i] - candidate) * update * (T(1) - update);
              d[2 * H + i] = candidates[j * H + i] = d_out[i] * (T(1) - update) * (T(1) - candidate * candidate);
            }
        }
      }
      if (before) {
        std::fill(into_candidate.begin(), into_candidate.end(), T(0));
        last.multiply_add(rows, candidates.data(), into_candidate.data());
        for (size_t j = 0; j < rows; ++j)
          for (size_t i = 0; i < H; ++i) {
            const T reset = cache.gates[(at + j) * G + i];
            T* d = &d_input[(at + j) * G];
            d[i] = into_candidate[j * H + i] * h_before[j * H + i] * reset * (T(1) - reset);
            gates[j * 2 * H + i] = d[i], gates[j * 2 * H + H + i] = d[H + i];
          }
      }
      if (t == 0) continue;
      // What flows to the state before: sequences that end here keep a zero for the step after.
      if (rows < packing.sizes[t - 1]) std::fill_n(carry.data() + rows * H, (packing.sizes[t - 1] - rows) * H, T(0));
      recurrent.multiply(rows, before ? gates.data() : gru ? &d_recurrent[at * G] : &d_input[at * G], zeros.data(), carry.data());
      for (size_t j = 0; j < rows && (gru || before); ++j) {
        tensor::multiply_add(&total[j * H], &cache.gates[(at + j) * G + H], &carry[j * H], H);
        if (before) tensor::multiply_add(&into_candidate[j * H], &cache.gates[(at + j) * G], &carry[j * H], H);
      }
    }
    if (!dx) continue;
    const size_t from = packing.offsets[first], rows = packing.offsets[end] - from;
    to_input.multiply(rows, &d_input[from * G], no_input.data(), dx + from * inputs_);
  }

  const Weights<T, T> dw(dweights, G, inputs_, H);
  tensor::add_outer_products(N, G, inputs_, d_input.data(), x, dw.w_ih);
  // The states that the steps began with: those of the rows one step before, which lie as they are unless a sequence ends between.
  const T* d_rec = gru ? d_recurrent.data() : d_input.data();
  const size_t begun = N - widest;
  AlignedVector<T> copied;
  const T* states = h;
  if (packing.sizes.back() != widest) {
    copied.resize(begun * H);
    for (size_t t = 1; t < packing.num_steps(); ++t)
      std::memcpy(&copied[(packing.offsets[t] - widest) * H], h + packing.offsets[t - 1] * H, packing.sizes[t] * H * sizeof(T));
    states = copied.data();
  }
  tensor::add_outer_products(begun, before ? 2 * H : G, H, d_rec + widest * G, G, states, H, dw.w_hh, H);
  if (begin.h) tensor::add_outer_products(widest, before ? 2 * H : G, H, d_rec, G, begin.h, H, dw.w_hh, H);
  if (before) tensor::add_outer_products(N, H, H, d_rec + 2 * H, G, cache.inner, H, dw.w_hh + 2 * H * H, H);
  std::vector<T> sums(G, T(0));
  add_rows(d_input.data(), N, G, sums.data());
  tensor::add(sums.data(), dw.b_ih, G);
  if (gru) {
    std::fill(sums.begin(), sums.end(), T(0));
    add_rows(d_rec, N, G, sums.data());
  }
  tensor::add(sums.data(), dw.b_hh, G);
}

template class RecurrentLayer<float>;
template class RecurrentLayer<double>;

}  // namespace throng::nn
