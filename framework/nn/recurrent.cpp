#include "framework/nn/recurrent.h"

#include <algorithm>
#include <cstring>

#include "framework/base/error.h"
#include "framework/tensor/activations.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/packed.h"

namespace throng::nn {

using tensor::gemm;
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

template <class T>
void RecurrentLayer<T>::forward(const Packing& packing, const T* weights, const T* x, T* h, Cache& cache) const {
  const size_t H = hidden_, G = num_gates(cell_) * H, N = packing.num_rows();
  const T* w_ih = weights;
  const T* w_hh = w_ih + G * inputs_;
  const T* b_ih = w_hh + G * H;
  const T* b_hh = b_ih + G;
  cache.gates.resize(N * G);
  cache.before.assign(N * H, T(0));
  if (cell_ == Cell::kLstm) cache.cells.resize(N * H);
  if (num_gates(cell_) > 1) cache.inner.resize(N * H);

  // One product for the inputs of all steps. The recurrent side adds to the same sums, save for GRU's candidate, which needs
  // it apart.
  const bool gru = cell_ == Cell::kGru;
  for (size_t r = 0; r < N; ++r) {
    T* gate = &cache.gates[r * G];
    std::memcpy(gate, b_ih, G * sizeof(T));
    for (size_t g = 0; g < (gru ? 2 * H : G); ++g) gate[g] += b_hh[g];
  }
  PackedMatrix<T>(Side::kTransposed, inputs_, G, w_ih).multiply_add(N, x, cache.gates.data());

  // GRU that resets before the product: its candidate's product waits for the reset gate.
  const bool before = cell_ == Cell::kGruBefore;
  const PackedMatrix<T> recurrent(Side::kTransposed, H, before ? 2 * H : G, w_hh), last(Side::kTransposed, before ? H : 0, H, w_hh + 2 * H * H * before);
  std::vector<T> candidates(before && N ? packing.sizes[0] * H : 0), gates(before && N ? packing.sizes[0] * 2 * H : 0);
  std::vector<T> sums(gru && N ? packing.sizes[0] * G : 0);
  for (size_t t = 0; t < packing.num_steps(); ++t) {
    const size_t rows = packing.sizes[t], at = packing.offsets[t];
    if (t > 0) std::memcpy(&cache.before[at * H], h + packing.offsets[t - 1] * H, rows * H * sizeof(T));
    if (gru) std::fill(sums.begin(), sums.end(), T(0));
    if (before) {
      reset_before(rows, at, recurrent, last, gates, candidates, h, cache);
      continue;
    }
    if (t > 0) recurrent.multiply_add(rows, &cache.before[at * H], gru ? sums.data() : &cache.gates[at * G]);
    for (size_t j = 0; j < rows; ++j) {
      T* gate = &cache.gates[(at + j) * G];
      const T* h_before = &cache.before[(at + j) * H];
      T* out = h + (at + j) * H;
      if (cell_ == Cell::kRnn || cell_ == Cell::kRnnRelu) {
        if (cell_ == Cell::kRnn) tensor::tanh(gate, H);
        else
          for (size_t i = 0; i < H; ++i) gate[i] = gate[i] > 0 ? gate[i] : T(0);
        std::memcpy(out, gate, H * sizeof(T));
      } else if (cell_ == Cell::kLstm) {
        T* c = &cache.cells[(at + j) * H];
        T* squashed = &cache.inner[(at + j) * H];
        tensor::sigmoid(gate, 2 * H);
        tensor::tanh(gate + 2 * H, H);
        tensor::sigmoid(gate + 3 * H, H);
        for (size_t i = 0; i < H; ++i) c[i] = gate[i] * gate[2 * H + i];
        if (t > 0) {
          const T* c_before = &cache.cells[(packing.offsets[t - 1] + j) * H];
          for (size_t i = 0; i < H; ++i) c[i] += gate[H + i] * c_before[i];
        }
        std::memcpy(squashed, c, H * sizeof(T));
        tensor::tanh(squashed, H);
        for (size_t i = 0; i < H; ++i) out[i] = gate[3 * H + i] * squashed[i];
      } else {
        const T* sum = &sums[j * G];
        T* inner = &cache.inner[(at + j) * H];
        for (size_t i = 0; i < 2 * H; ++i) gate[i] += sum[i];
        tensor::sigmoid(gate, 2 * H);
        for (size_t i = 0; i < H; ++i) {
          inner[i] = sum[2 * H + i] + b_hh[2 * H + i];
          gate[2 * H + i] += gate[i] * inner[i];
        }
        tensor::tanh(gate + 2 * H, H);
        for (size_t i = 0; i < H; ++i) out[i] = (T(1) - gate[H + i]) * gate[2 * H + i] + gate[H + i] * h_before[i];
      }
    }
  }
}

// One step: r and z from h, then the candidate from r h.
template <class T>
void RecurrentLayer<T>::reset_before(size_t rows, size_t at, const PackedMatrix<T>& gate_product, const PackedMatrix<T>& candidate_product, std::vector<T>& sums,
                                     std::vector<T>& candidates, T* h, Cache& cache) const {
  const size_t H = hidden_, G = 3 * H;
  std::fill(sums.begin(), sums.end(), T(0));
  std::fill(candidates.begin(), candidates.end(), T(0));
  gate_product.multiply_add(rows, &cache.before[at * H], sums.data());
  for (size_t j = 0; j < rows; ++j) {
    T *gate = &cache.gates[(at + j) * G], *inner = &cache.inner[(at + j) * H];
    for (size_t i = 0; i < 2 * H; ++i) gate[i] += sums[j * 2 * H + i];
    tensor::sigmoid(gate, 2 * H);
    for (size_t i = 0; i < H; ++i) inner[i] = gate[i] * cache.before[(at + j) * H + i];
  }
  candidate_product.multiply_add(rows, &cache.inner[at * H], candidates.data());
  for (size_t j = 0; j < rows; ++j) {
    T *gate = &cache.gates[(at + j) * G], *n = gate + 2 * H;
    for (size_t i = 0; i < H; ++i) n[i] += candidates[j * H + i];
    tensor::tanh(n, H);
    for (size_t i = 0; i < H; ++i) h[(at + j) * H + i] = (T(1) - gate[H + i]) * n[i] + gate[H + i] * cache.before[(at + j) * H + i];
  }
}

template <class T>
void RecurrentLayer<T>::backward(const Packing& packing, const T* weights, const T* x, const T*, const Cache& cache, const T* dh, T* dweights,
                                 T* dx) const {
  const size_t H = hidden_, G = num_gates(cell_) * H, N = packing.num_rows();
  const T* w_ih = weights;
  const T* w_hh = w_ih + G * inputs_;
  if (N == 0) return;
  const size_t widest = packing.sizes[0];
  // Gradients of the gates before activation: on the input side, and (GRU's candidate differs) on the recurrent side.
  std::vector<T> d_input(N * G), d_recurrent(cell_ == Cell::kGru ? N * G : 0);
  std::vector<T> carry(widest * H, T(0)), carry_cell(cell_ == Cell::kLstm ? widest * H : 0, T(0)), total(widest * H), zeros(H, T(0));
  const bool before = cell_ == Cell::kGruBefore;
  const PackedMatrix<T> recurrent(Side::kPlain, before ? 2 * H : G, H, w_hh), last(Side::kPlain, before ? H : 0, H, w_hh + 2 * H * H * before);
  std::vector<T> gates(before ? widest * 2 * H : 0), candidates(before ? widest * H : 0), into_candidate(before ? widest * H : 0);

  for (size_t t = packing.num_steps(); t-- > 0;) {
    const size_t rows = packing.sizes[t], at = packing.offsets[t];
    for (size_t k = 0; k < rows * H; ++k) total[k] = dh[at * H + k] + carry[k];
    for (size_t j = 0; j < rows; ++j) {
      const T* gate = &cache.gates[(at + j) * G];
      T* d = &d_input[(at + j) * G];
      const T* d_out = &total[j * H];
      const T* h_before = &cache.before[(at + j) * H];
      if (cell_ == Cell::kRnn) {
        for (size_t i = 0; i < H; ++i) d[i] = d_out[i] * (T(1) - gate[i] * gate[i]);
      } else if (cell_ == Cell::kRnnRelu) {
        for (size_t i = 0; i < H; ++i) d[i] = gate[i] > 0 ? d_out[i] : T(0);
      } else if (before) {
        for (size_t i = 0; i < H; ++i) {
          const T update = gate[H + i], candidate = gate[2 * H + i];
          d[H + i] = d_out[i] * (h_before[i] - candidate) * update * (T(1) - update);
          d[2 * H + i] = candidates[j * H + i] = d_out[i] * (T(1) - update) * (T(1) - candidate * candidate);
        }
      } else if (cell_ == Cell::kLstm) {
        const T* tanh_c = &cache.inner[(at + j) * H];
        const T* c_before = t > 0 ? &cache.cells[(packing.offsets[t - 1] + j) * H] : zeros.data();
        T* dc_carry = &carry_cell[j * H];
        for (size_t i = 0; i < H; ++i) {
          T in = gate[i], forget = gate[H + i], candidate = gate[2 * H + i], output = gate[3 * H + i];
          T dc = dc_carry[i] + d_out[i] * output * (T(1) - tanh_c[i] * tanh_c[i]);
          d[i] = dc * candidate * in * (T(1) - in);
          d[H + i] = dc * c_before[i] * forget * (T(1) - forget);
          d[2 * H + i] = dc * in * (T(1) - candidate * candidate);
          d[3 * H + i] = d_out[i] * tanh_c[i] * output * (T(1) - output);
          dc_carry[i] = dc * forget;
        }
      } else {
        const T* inner = &cache.inner[(at + j) * H];
        T* d_rec = &d_recurrent[(at + j) * G];
        for (size_t i = 0; i < H; ++i) {
          T reset = gate[i], update = gate[H + i], candidate = gate[2 * H + i];
          T d_candidate = d_out[i] * (T(1) - update) * (T(1) - candidate * candidate);
          d[i] = d_rec[i] = d_candidate * inner[i] * reset * (T(1) - reset);
          d[H + i] = d_rec[H + i] = d_out[i] * (h_before[i] - candidate) * update * (T(1) - update);
          d[2 * H + i] = d_candidate;
          d_rec[2 * H + i] = d_candidate * reset;
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
          d[i] = into_candidate[j * H + i] * cache.before[(at + j) * H + i] * reset * (T(1) - reset);
          gates[j * 2 * H + i] = d[i], gates[j * 2 * H + H + i] = d[H + i];
        }
    }
    // What flows to the state before: sequences that end here keep a zero for the step after.
    if (t > 0) {
      const T* d_rec = cell_ == Cell::kGru ? &d_recurrent[at * G] : &d_input[at * G];
      std::fill(carry.begin(), carry.end(), T(0));
      recurrent.multiply_add(rows, before ? gates.data() : d_rec, carry.data());
      if (before)
        for (size_t j = 0; j < rows; ++j)
          for (size_t i = 0; i < H; ++i) carry[j * H + i] += into_candidate[j * H + i] * cache.gates[(at + j) * G + i];
      if (cell_ == Cell::kGru || before)
        for (size_t j = 0; j < rows; ++j)
          for (size_t i = 0; i < H; ++i) carry[j * H + i] += total[j * H + i] * cache.gates[(at + j) * G + H + i];
    }
  }

  T* dw_ih = dweights;
  T* dw_hh = dw_ih + G * inputs_;
  T* db_ih = dw_hh + G * H;
  T* db_hh = db_ih + G;
  const T* d_rec = cell_ == Cell::kGru ? d_recurrent.data() : d_input.data();
  gemm(Side::kTransposed, Side::kPlain, G, inputs_, N, T(1), d_input.data(), x, T(1), dw_ih);
  gemm(Side::kTransposed, Side::kPlain, before ? 2 * H : G, H, N, T(1), d_rec, G, cache.before.data(), H, T(1), dw_hh, H);
  if (before) gemm(Side::kTransposed, Side::kPlain, H, H, N, T(1), d_rec + 2 * H, G, cache.inner.data(), H, T(1), dw_hh + 2 * H * H, H);
  for (size_t r = 0; r < N; ++r)
    for (size_t g = 0; g < G; ++g) db_ih[g] += d_input[r * G + g], db_hh[g] += d_rec[r * G + g];
  if (dx) {
    std::fill(dx, dx + N * inputs_, T(0));
    PackedMatrix<T>(Side::kPlain, G, inputs_, w_ih).multiply_add(N, d_input.data(), dx);
  }
}

template class RecurrentLayer<float>;
template class RecurrentLayer<double>;

}  // namespace throng::nn
