// What a recurrent cell does with one row after the products, forward and back. All arrays have `hidden` numbers, gates one such array after another.
#pragma once
#include <cstddef>

namespace throng::nn {

/// T is float or double. In float the same bits with any vector instructions.
template <class T>
struct CellKernels {
  /// gates i f g o become their activations; c_before null: zeros. c and tanh(c) are written, and h.
  void (*lstm_forward)(T* gates, const T* c_before, T* c, T* tanh_c, T* h, size_t hidden);
  /// From dh (of the output, and what the next step sent back) and dc (of the cell, which becomes the one before's): d, the gates' before activation.
  void (*lstm_backward)(const T* gates, const T* tanh_c, const T* c_before, const T* dh, T* dc, T* d, size_t hidden);
  /// gates r z n, on the input side, become their activations; `recurrent` is W_hh h, b its bias for n. inner = W_hn h + b_n and h are written.
  void (*gru_forward)(T* gates, const T* recurrent, const T* b, const T* h_before, T* inner, T* h, size_t hidden);
  /// d on the input side, d_recurrent on the other.
  void (*gru_backward)(const T* gates, const T* inner, const T* h_before, const T* dh, T* d, T* d_recurrent, size_t hidden);
  /// h = gate = tanh(gate).
  void (*tanh_forward)(T* gate, T* h, size_t hidden);
  void (*tanh_backward)(const T* gate, const T* dh, T* d, size_t hidden);

  /// Of the instructions in use.
  static const CellKernels& get();
};

}  // namespace throng::nn
