// One step of an optimiser over a stretch of weights. Internal to the optimisers.
#pragma once
#include "framework/nn/optimizer.h"

namespace throng::nn {

/// T is float or double. The same bits with any vector instructions.
template <class T>
struct StepKernels {
  struct Step {
    T lr, decay, momentum, epsilon, keep;  ///< Adam: momentum is beta1, keep is beta2; corrections are part of lr and epsilon
    T shrink = 1;                          ///< of the weights themselves
    T scale = 1;                           ///< of the gradient
    bool nesterov = false;
  };
  /// `a` and `b` are the optimiser's states, null where it has none.
  static void move(OptimizerOptions::Kind kind, const Step& step, T* weights, const T* gradient, T* a, T* b, size_t n);
};

}  // namespace throng::nn
