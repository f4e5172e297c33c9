#include "framework/nn/cell_kernels.h"

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/instruction_sets.h"

namespace throng::nn {
namespace {

using tensor::sigmoid_of;
using tensor::tanh_of;

THRONG_BODY void lstm_forward(T* __restrict gates, const T* __restrict c_before, T* __restrict c, T* __restrict tanh_c, T* __restrict h, size_t n) {
  T *in = gates, *forget = gates + n, *candidate = gates + 2 * n, *output = gates + 3 * n;
  if (c_before) {
    for (size_t i = 0; i < n; ++i) {
      in[i] = sigmoid_of(in[i]), forget[i] = sigmoid_of(forget[i]);
      candidate[i] = tanh_of(candidate[i]);
      c[i] = in[i] * candidate[i] + forget[i] * c_before[i];
    }
  } else {
    for (size_t i = 0; i < n; ++i) {
      in[i] = sigmoid_of(in[i]), forget[i] = sigmoid_of(forget[i]);
      candidate[i] = tanh_of(candidate[i]);
      c[i] = in[i] * candidate[i];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    output[i] = sigmoid_of(output[i]);
    tanh_c[i] = tanh_of(c[i]);
    h[i] = output[i] * tanh_c[i];
  }
}

THRONG_BODY void lstm_backward(const T* __restrict gates, const T* __restrict tanh_c, const T* __restrict c_before, const T* __restrict dh, T* __restrict dc_carry, T* __restrict d, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const T in = gates[i], forget = gates[n + i], candidate = gates[2 * n + i], output = gates[3 * n + i];
    const T dc = dc_carry[i] + dh[i] * output * (T(1) - tanh_c[i] * tanh_c[i]);
    d[i] = dc * candidate * in * (T(1) - in);
    d[n + i] = dc * c_before[i] * forget * (T(1) - forget);
    d[2 * n + i] = dc * in * (T(1) - candidate * candidate);
    d[3 * n + i] = dh[i] * tanh_c[i] * output * (T(1) - output);
    dc_carry[i] = dc * forget;
  }
}

THRONG_BODY void gru_forward(T* __restrict gates, const T* __restrict recurrent, const T* __restrict b, const T* __restrict h_before, T* __restrict inner, T* __restrict h, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const T reset = sigmoid_of(gates[i] + recurrent[i]), update = sigmoid_of(gates[n + i] + recurrent[n + i]);
    inner[i] = recurrent[2 * n + i] + b[i];
    const T candidate = tanh_of(gates[2 * n + i] + reset * inner[i]);
    gates[i] = reset, gates[n + i] = update, gates[2 * n + i] = candidate;
    h[i] = (T(1) - update) * candidate + update * h_before[i];
  }
}

THRONG_BODY void gru_backward(const T* __restrict gates, const T* __restrict inner, const T* __restrict h_before, const T* __restrict dh, T* __restrict d, T* __restrict d_recurrent, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const T reset = gates[i], update = gates[n + i], candidate = gates[2 * n + i];
    const T d_candidate = dh[i] * (T(1) - update) * (T(1) - candidate * candidate);
    d[i] = d_recurrent[i] = d_candidate * inner[i] * reset * (T(1) - reset);
    d[n + i] = d_recurrent[n + i] = dh[i] * (h_before[i] - candidate) * update * (T(1) - update);
    d[2 * n + i] = d_candidate;
    d_recurrent[2 * n + i] = d_candidate * reset;
  }
}

THRONG_BODY void tanh_forward(T* __restrict gate, T* __restrict h, size_t n) {
  for (size_t i = 0; i < n; ++i) h[i] = gate[i] = tanh_of(gate[i]);
}
THRONG_BODY void tanh_backward(const T* __restrict gate, const T* __restrict dh, T* __restrict d, size_t n) {
  for (size_t i = 0; i < n; ++i) d[i] = dh[i] * (T(1) - gate[i] * gate[i]);
}
#define THRONG_CELLS(name, attribute)                                                                                                                              \
  template <class T>                                                                                                                                               \
  struct name {                                                                                                                                                    \
    attribute static void lstm_f(T* g, const T* b, T* c, T* s, T* h, size_t n) { lstm_forward(g, b, c, s, h, n); }                                                 \
    attribute static void lstm_b(const T* g, const T* s, const T* b, const T* dh, T* dc, T* d, size_t n) { lstm_backward(g, s, b, dh, dc, d, n); }                 \
    attribute static void gru_f(T* g, const T* r, const T* b, const T* p, T* i, T* h, size_t n) { gru_forward(g, r, b, p, i, h, n); }                              \
    attribute static void gru_b(const T* g, const T* i, const T* p, const T* dh, T* d, T* r, size_t n) { gru_backward(g, i, p, dh, d, r, n); }                     \
    attribute static void tanh_f(T* g, T* h, size_t n) { tanh_forward(g, h, n); }                                                                                  \
    attribute static void tanh_b(const T* g, const T* dh, T* d, size_t n) { tanh_backward(g, dh, d, n); }                                                          \
    static constexpr CellKernels<T> kernels{lstm_f, lstm_b, gru_f, gru_b, tanh_f, tanh_b};                                                                         \
  };
THRONG_INSTRUCTION_SETS(THRONG_CELLS)

}  // namespace

template <class T>
const CellKernels<T>& CellKernels<T>::get() {
  THRONG_CALL(kernels);
}

template struct CellKernels<float>;
template struct CellKernels<double>;

}  // namespace throng::nn
