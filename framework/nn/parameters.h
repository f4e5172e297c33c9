// The weights of a model: named matrices in one array, which is what optimisers, allreduce and checkpoints work on.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace throng::nn {

/// A matrix of weights, row-major, from `at` on in the model's array.
struct Parameter {
  size_t at = 0, rows = 0, cols = 0;
  size_t size() const { return rows * cols; }
};

/// How a matrix begins.
struct Initial {
  enum class Kind { kConstant, kUniform, kNormal };
  Kind kind = Kind::kConstant;
  double number = 0;  ///< the constant, the bound, or the standard deviation
  static Initial constant(double v) { return {Kind::kConstant, v}; }
  static Initial uniform(double bound) { return {Kind::kUniform, bound}; }
  static Initial normal(double deviation) { return {Kind::kNormal, deviation}; }
  /// Glorot and Bengio, 2010: uniform with the bound sqrt(6 / (in + out)).
  static Initial glorot(size_t in, size_t out);
};

/// The layout of a model's weights; the same on every rank. A layer adds its matrices when it is made, and keeps where they lie.
class Parameters {
 public:
  struct Entry {
    std::string name;  ///< "block1.attention.query"; unique
    Parameter where;
    Initial initial;
    bool frozen = false;     ///< gets no gradient
    bool decays = true;      ///< weight decay applies: not to biases and norms
    bool table = false;      ///< its gradient comes by rows (TableRows)
    bool statistic = false;  ///< moved towards what batches show, by `BatchNorm`'s rule, not by the optimiser
    double lr_scale = 1;
    std::optional<double> weight_decay{};  ///< where it decays: its own, instead of the optimiser's
  };
  /// A bug where the name is taken.
  Parameter add(std::string name, size_t rows, size_t cols, Initial initial, bool decays = true);
  Parameter add_statistic(std::string name, size_t cols, double initial);
  /// A matrix of which a step uses few rows, and moves only these. Tables come behind all other matrices: a bug otherwise.
  Parameter add_table(std::string name, size_t rows, size_t cols, Initial initial);
  /// Some rows of another model's table, which learn as it does.
  Parameter add_table_like(const Entry& table, size_t rows);

  size_t size() const { return size_; }
  /// Without the tables: what a dense gradient is of.
  size_t dense_size() const { return dense_size_; }
  const std::vector<Entry>& entries() const { return entries_; }
  /// A job error, with the names that are near, where there is none.
  const Entry& find(const std::string& name) const;
  /// Freezes, scales the learning rate of, or gives an own weight decay to all matrices whose name begins so; how many these are, of those that decay.
  size_t freeze(const std::string& prefix);
  size_t scale_lr(const std::string& prefix, double scale);
  size_t set_weight_decay(const std::string& prefix, double decay);
  /// Lets matrices that would begin uniform begin normal, with a deviation of 0.02, and such biases 0 (Devlin et al., 2019, BERT).
  void begin_as_bert();
  /// Lets all that begins at random begin uniform within a bound.
  void begin_uniform(double bound);
  /// False where the gradient of this matrix is not wanted.
  bool learns(const Parameter& p) const;
  /// The place among the entries of the one that holds the number at `at`.
  size_t entry_of(size_t at) const;
  bool is_table(const Parameter& p) const { return p.at >= dense_size_; }

  /// The first weights: each matrix from the seed and its name, so that what else there is has no part in it. `weights` are all, or all but the tables.
  template <class T>
  void initialize(std::span<T> weights, uint64_t seed) const;
  /// The same of one row of a table.
  template <class T>
  static void initialize_row(const Entry& table, size_t row, T* values, uint64_t seed);

 private:
  std::vector<Entry> entries_;
  size_t size_ = 0, dense_size_ = 0;
};

}  // namespace throng::nn
