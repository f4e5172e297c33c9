// Optimisers over a model's one array of weights, and schedules of their learning rate.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/nn/parameters.h"
#include "framework/nn/table_rows.h"

namespace throng::nn {

/// As torch.optim's of the same names, with their defaults.
struct OptimizerOptions {
  enum class Kind { kSgd, kAdagrad, kAdadelta, kRmsprop, kAdam, kAdamW };
  Kind kind = Kind::kAdam;
  double lr = 1e-3;
  double momentum = 0;       ///< sgd, rmsprop
  bool nesterov = false;     ///< sgd
  double beta1 = 0.9;        ///< adam, adamw
  double beta2 = 0.999;
  double decay = -1;         ///< rmsprop's alpha (0.99), adadelta's rho (0.9); negative: the default
  double epsilon = -1;       ///< negative: the default, 1e-8; adagrad 1e-10, adadelta 1e-6
  double weight_decay = 0;   ///< adamw: of the weights themselves (Loshchilov and Hutter, 2019); others: added to the gradient
  static Kind kind_of(const std::string& name);  ///< "sgd" ..; a job error for another
};

/// The learning rate's factor by step.
struct Schedule {
  enum class Kind { kConstant, kCosine, kStep };
  Kind kind = Kind::kConstant;
  int64_t warmup = 0;       ///< steps of linear rise from 0; then the kind begins
  int64_t steps = 0;        ///< cosine: where it ends, warm-up included
  double least = 0;         ///< cosine: the factor at the end
  int64_t first = -1;       ///< step: falls by `factor` after so many steps behind the warm-up, `every` where negative
  int64_t every = 1;        ///< step: and again after each so many more
  double factor = 0.1;
  /// Of step `step`, counted from 0.
  double at(int64_t step) const;
};

/// Numbers [begin, end) of a model's array.
struct Slice {
  size_t begin = 0, end = 0;
};

/// Moves weights along gradients, element by element, so that the bits do not depend on ranks or threads. T is float or double.
template <class T>
class Optimizer {
 public:
  /// One group of all weights.
  explicit Optimizer(const OptimizerOptions& options, size_t num_weights);
  /// Frozen matrices and statistics stay; biases and norms do not decay; learning rates and decays by matrix.
  Optimizer(const OptimizerOptions& options, const Parameters& parameters);
  /// Moves these of the weights only, and tables where these are wanted, and has state for these only: one rank's part of the work.
  Optimizer(const OptimizerOptions& options, const Parameters& parameters, std::span<const Slice> slices, bool tables);

  /// One step, with the learning rate times `lr_factor`. Tables move where `tables` has rows, and stay elsewhere: with sgd without momentum, and adagrad, this is
  /// the same as a step along zeros there; with adam the moments of other rows stay, too (torch.optim.SparseAdam, but for epsilon, which stands as in Adam). A job error for other optimizers, and for weight decay.
  /// Gradients are `scale` times what is given.
  void update(std::span<T> weights, std::span<const T> gradient, double lr_factor = 1, const TableRows<T>* tables = nullptr, double scale = 1);
  /// The same of tables alone.
  void update(std::span<T> weights, std::span<const RowSums<T>> tables, double lr_factor, double scale);

  int64_t steps() const { return steps_; }
  const OptimizerOptions& options() const { return options_; }
  /// What a checkpoint keeps: none, one or two numbers for each weight of the slices, in their order, then for those of the tables.
  std::vector<std::vector<T>>& state() { return state_; }
  const std::vector<std::vector<T>>& state() const { return state_; }
  void set_steps(int64_t n) { steps_ = n; }

 private:
  template <class Gradients>
  void move_rows(const Gradients& table, std::span<T> weights, double lr_factor, double scale);
  struct Range {
    size_t begin, end;
    double lr_scale, weight_decay;
    size_t state_at;
  };
  /// Where the states of a range begin; null: there are no more.
  std::array<T*, 2> states_of(const Range& range);

  OptimizerOptions options_;
  std::vector<Range> ranges_, tables_;
  std::vector<std::vector<T>> state_;
  int64_t steps_ = 0;
};

extern template class Optimizer<float>;
extern template class Optimizer<double>;

/// Numbers of a gradient whose squares are added up together; then blocks are, in order.
inline constexpr size_t kNormBlock = 4096;
/// The sum of squares of one block.
double squares_of(std::span<const float> block);

}  // namespace throng::nn
