// Reverse-mode differentiation over coarse operations on matrices.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/base/slabs.h"
#include "framework/nn/parameters.h"
#include "framework/nn/table_rows.h"
#include "framework/tensor/packed.h"

namespace throng::nn {

/// Sequences in one matrix without padding: sequence s is rows [begin(s), end(s)).
class Segments {
 public:
  Segments() = default;
  static Segments of_lengths(std::span<const size_t> lengths);
  size_t count() const { return offsets_.size() - 1; }
  size_t begin(size_t s) const { return offsets_[s]; }
  size_t end(size_t s) const { return offsets_[s + 1]; }
  size_t length(size_t s) const { return end(s) - begin(s); }
  size_t num_rows() const { return offsets_.back(); }
  size_t longest() const;

 private:
  std::vector<size_t> offsets_{0};
};

/// A matrix on a tape.
struct Var {
  uint32_t node = UINT32_MAX;
  size_t rows = 0, cols = 0;
  size_t size() const { return rows * cols; }
};

/// What was computed in one step of one shard, so that it can be gone through backwards. Used by one thread; its memory is kept and used
/// again by the next step. T is float or double.
///
/// A loss is an operation without a result: it adds to `loss()` and leaves its gradient in what it was computed from. `backward` then
/// carries all gradients to the weights.
template <class T>
class Tape {
 public:
  /// `gradient` is what weight gradients are added to; empty where none is wanted: nothing is remembered, dropout is off and batch norm uses its
  /// statistics. Those of tables are added to `tables`, which a model that has some must be given; with
  /// `rows`, by the places there. `stream` makes the random numbers of this step and shard.
  /// `rows` are the weights of the rows of tables that the step uses, where `weights` are those of all other matrices only; null: `weights` are all.
  /// `packed` holds layouts of these weights that other tapes may share; null: this tape's own.
  void start(const Parameters& parameters, std::span<const T> weights, std::span<T> gradient, uint64_t seed = 0, uint64_t stream = 0, TableRows<T>* tables = nullptr,
             tensor::PackedCache<T>* packed = nullptr, const TableRows<T>* rows = nullptr);
  /// As a part of another tape's step, from its random stream number `draws` on (`recompute`).
  void start_within(const Tape& outer, uint64_t draws);
  bool training() const { return !gradient_.empty(); }
  const Parameters& parameters() const { return *parameters_; }

  /// Rows of input; they are not copied and must stay.
  Var constant(const T* values, size_t rows, size_t cols);
  /// Values that lie elsewhere, and where their gradient is added to, null for none yet; both must stay.
  Var operand(T* values, T* gradient, size_t rows, size_t cols, bool needs);
  /// A whole matrix of weights as an operand.
  Var weights(const Parameter& p);

  T* value(Var v) { return nodes_[v.node].value; }
  /// The gradient of what `v` holds, zero at first; to be added to. Null where it has no use.
  T* gradient(Var v);
  /// Likewise, but not zeroed where nothing was added so far: then `empty` is true, and all of it is to be written.
  T* gradient(Var v, bool& empty);
  /// On the way back from `from`, which needs its own no more: that becomes the gradient of `to`, to be changed where it lies. Null, and nothing is done, where `to` has one
  /// already or the two cannot share it.
  T* hand_on_gradient(Var from, Var to);
  /// A bug for a table of which only some rows are here.
  const T* weight(const Parameter& p) {
    touch(p);
    THRONG_CHECK(p.at < weights_.size(), "an operation wants all rows of a table");
    return weights_.data() + p.at;
  }
  /// One row of a matrix or a table. A bug for a row that is not here.
  const T* row(const Parameter& p, int32_t id) {
    touch(p);
    if (p.at < weights_.size()) return weights_.data() + p.at + size_t(id) * p.cols;
    return row_of_step(p, id);
  }
  /// Weights that begin at `b`, laid out to be multiplied by; stays as long as the step.
  const tensor::PackedMatrix<T>& packed(tensor::Side side, size_t k, size_t n, const T* b) { return packed_->get(side, k, n, b); }
  tensor::PackedCache<T>& packed_cache() { return *packed_; }
  /// Whether the weights are to have a gradient.
  bool learns(const Parameter& p) {
    touch(p);
    return training() && parameters_->learns(p);
  }
  /// Null where they are not. A bug for a table.
  T* weight_gradient(const Parameter& p);
  /// Adds (ids, p.cols) to the gradients of rows `ids` of a matrix or a table, one after the other; those of negative ids are left out.
  void add_to_rows(const Parameter& p, std::span<const int32_t> ids, const T* gradient);

  /// Room for what else would go to `add_to_rows`, to be written before anything else is added to that table. Null where the rows are not of a table, or some are there already or come twice.
  T* room_for_rows(const Parameter& p, std::span<const int32_t> ids);

  double loss() const { return loss_; }
  void add_loss(double v) { loss_ += v; }
  /// Goes back from the last operation to the first. `complete` is told of each matrix, by its place among the entries of the parameters, once nothing more is added to
  /// its gradient: the sums over ranks can begin. An operation asks for its weights no earlier than for the last result that it makes, or in it.
  void backward(const std::function<void(size_t entry)>& complete = {});

  // For operations:
  /// Room for a result, not zeroed. `needs` is whether anything before it has a gradient.
  Var make(size_t rows, size_t cols, bool needs);
  bool needs(Var v) const { return nodes_[v.node].needs; }
  /// What `backward` does for the operation that made `v`; dropped where `v` needs no gradient. Called only if `v` got one.
  void on_backward(Var v, std::function<void()> work);
  /// Room that lives as long as the step.
  T* scratch(size_t n);
  /// A new stream of random numbers for each call.
  Random random() { return Random(seed_, stream_, ++draws_); }
  /// One that none of these is: for what a model draws before its tape begins, such as which rows of tables the step will use.
  static Random random_before(uint64_t seed, uint64_t stream) { return Random(seed, stream, 0); }
  Random random_before() const { return random_before(seed_, stream_); }
  /// How many streams were taken so far.
  uint64_t draws() const { return draws_; }
  /// The last operation here uses what `inner`, which was started within this, has used of weights and random streams.
  void take_uses(const Tape& inner);
  /// Memory of `inner` is this one's, too.
  void count_peak(const Tape& inner) { peak_ = std::max(peak_, used_ + inner.peak_); }
  /// Bytes held for values and gradients at the most since `start`.
  size_t peak_bytes() const { return peak_; }

 private:
  struct Node {
    T* value = nullptr;
    T* gradient = nullptr;
    size_t size = 0;
    bool needs = false, owned = false;
    std::function<void()> work;
    bool handed_on = false;  ///< the gradient, to an operand
  };
  void touch(const Parameter& p);
  const T* row_of_step(const Parameter& p, int32_t id) const;
  T* take(size_t n);
  void give(T* p, size_t n);
  static size_t size_class(size_t n);

  const Parameters* parameters_ = nullptr;
  std::span<const T> weights_;
  std::span<T> gradient_;
  TableRows<T>* tables_ = nullptr;
  const TableRows<T>* rows_ = nullptr;
  uint64_t seed_ = 0, stream_ = 0, draws_ = 0;
  std::vector<Node> nodes_;
  tensor::PackedCache<T> own_packed_;
  tensor::PackedCache<T>* packed_ = &own_packed_;
  // By entry: the node that first may add to its gradient. Going back, once that is through the gradient is whole.
  static constexpr size_t kUnused = SIZE_MAX;
  std::vector<size_t> first_use_;
  size_t touched_ = kUnused, going_back_ = kUnused;
  double loss_ = 0;
  Slabs memory_;                                      // of all blocks
  std::map<size_t, std::vector<T*>> free_;            // by size class
  std::vector<std::pair<T*, size_t>> step_scratch_;
  size_t used_ = 0, peak_ = 0;
};

extern template class Tape<float>;
extern template class Tape<double>;

}  // namespace throng::nn
