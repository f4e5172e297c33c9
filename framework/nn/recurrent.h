// Recurrent layers over packed sequences: RNN, LSTM, GRU. Equations and weight order as in PyTorch.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace throng::tensor {
template <class T>
class PackedMatrix;
template <class T>
class PackedCache;
}

namespace throng::nn {

enum class Cell { kRnn, kLstm, kGru, kRnnRelu, kGruBefore };
constexpr size_t num_gates(Cell cell) { return cell == Cell::kLstm ? 4 : cell == Cell::kGru || cell == Cell::kGruBefore ? 3 : 1; }

/// Sequences of falling length, time-major: row offsets[t] + j is step t of sequence j.
struct Packing {
  std::vector<size_t> sizes;    ///< sequences alive at each step; never rises
  std::vector<size_t> offsets;  ///< steps + 1
  /// `lengths` must not rise.
  static Packing of(std::span<const size_t> lengths);
  size_t num_steps() const { return sizes.size(); }
  size_t num_rows() const { return offsets.back(); }
};

/// One layer. T is float or double. Weights of a layer lie one after another in one array:
/// W_ih (G*H, I), W_hh (G*H, H), b_ih (G*H), b_hh (G*H), with gates ordered LSTM i f g o, GRU r z n.
///   LSTM: c' = f c + i g, h' = o tanh(c')      GRU (reset after the product): n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
///   h' = (1 - z) n + z h                        RNN: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(0, ..)
///   kGruBefore resets before the product, as Cho et al. (2014) do: n = tanh(W_in x + b_in + W_hn (r h) + b_hn)
/// Thread-safe: all state is in the arguments.
template <class T>
class RecurrentLayer {
 public:
  RecurrentLayer(Cell cell, size_t inputs, size_t hidden) : cell_(cell), inputs_(inputs), hidden_(hidden) {}
  size_t inputs() const { return inputs_; }
  size_t hidden() const { return hidden_; }
  size_t num_weights() const { return num_gates(cell_) * hidden_ * (inputs_ + hidden_ + 2); }

  /// How many numbers the backward pass needs of each row that went forward.
  size_t cache_cols() const { return (num_gates(cell_) + (num_gates(cell_) > 1) + (cell_ == Cell::kLstm)) * hidden_; }
  /// LSTM: the cells (N, H) among them.
  const T* cells(const T* cache, size_t rows) const { return cache + rows * num_gates(cell_) * hidden_; }
  /// What the sequences begin with, (sequences, H) each; null: zeros. `c` is for LSTM. Gradients do not go on to them.
  struct Begin {
    const T* h = nullptr;
    const T* c = nullptr;
  };
  /// x (N, I) to h (N, H), with room for N * cache_cols() numbers in `cache`. `packed` keeps layouts of the weights for more calls.
  void forward(tensor::PackedCache<T>& packed, const Packing& packing, const T* weights, const T* x, T* h, T* cache, Begin begin = {}) const;
  /// From dh (N, H), the gradient of every output, adds to dweights and, unless null, writes dx (N, I).
  void backward(tensor::PackedCache<T>& packed, const Packing& packing, const T* weights, const T* x, const T* h, const T* cache, const T* dh, T* dweights, T* dx, Begin begin = {}) const;

 private:
  // What `cache` holds.
  template <class P>
  struct Cache {
    P gates;  // (N, G*H), activated
    P cells;  // LSTM: (N, H)
    P inner;  // (N, H): GRU W_hn h + b_hn, or r h where it resets before; LSTM tanh(c)
  };
  template <class P>
  Cache<P> parts(P cache, size_t rows) const {
    const P cells = cache + rows * num_gates(cell_) * hidden_;
    return {cache, cells, cell_ == Cell::kLstm ? cells + rows * hidden_ : cells};
  }
  void reset_before(size_t rows, const tensor::PackedMatrix<T>& gate_product, const tensor::PackedMatrix<T>& candidate_product, std::vector<T>& sums, std::vector<T>& candidates,
                    const T* h_before, T* gates, T* inner, T* h) const;
  Cell cell_;
  size_t inputs_, hidden_;
};

extern template class RecurrentLayer<float>;
extern template class RecurrentLayer<double>;

}  // namespace throng::nn
