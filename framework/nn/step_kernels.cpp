#include "framework/nn/step_kernels.h"

#include <cmath>

#include "framework/tensor/instruction_sets.h"

namespace throng::nn {
namespace {

using Kind = OptimizerOptions::Kind;

THRONG_BODY void move_body(Kind kind, const typename StepKernels<T>::Step& step, T* __restrict w, const T* __restrict g, T* __restrict a, T* __restrict b, size_t n) {
  const T lr = step.lr, decay = step.decay, momentum = step.momentum, epsilon = step.epsilon, keep = step.keep, shrink = step.shrink, scale = step.scale;
  switch (kind) {
    case Kind::kSgd:
      if (!a) {
        for (size_t i = 0; i < n; ++i) w[i] -= lr * (g[i] * scale + decay * w[i]);
      } else if (step.nesterov) {
        for (size_t i = 0; i < n; ++i) {
          const T d = g[i] * scale + decay * w[i];
          a[i] = momentum * a[i] + d;
          w[i] -= lr * (d + momentum * a[i]);
        }
      } else {
        for (size_t i = 0; i < n; ++i) {
          a[i] = momentum * a[i] + (g[i] * scale + decay * w[i]);
          w[i] -= lr * a[i];
        }
      }
      break;
    case Kind::kAdagrad:
      for (size_t i = 0; i < n; ++i) {
        const T d = g[i] * scale + decay * w[i];
        a[i] += d * d;
        w[i] -= lr * d / (std::sqrt(a[i]) + epsilon);
      }
      break;
    case Kind::kAdadelta:
      for (size_t i = 0; i < n; ++i) {
        const T d = g[i] * scale + decay * w[i];
        a[i] = keep * a[i] + (1 - keep) * d * d;
        const T delta = std::sqrt(b[i] + epsilon) / std::sqrt(a[i] + epsilon) * d;
        b[i] = keep * b[i] + (1 - keep) * delta * delta;
        w[i] -= lr * delta;
      }
      break;
    case Kind::kRmsprop:
      if (b) {
        for (size_t i = 0; i < n; ++i) {
          const T d = g[i] * scale + decay * w[i];
          a[i] = keep * a[i] + (1 - keep) * d * d;
          b[i] = momentum * b[i] + d / (std::sqrt(a[i]) + epsilon);
          w[i] -= lr * b[i];
        }
      } else {
        for (size_t i = 0; i < n; ++i) {
          const T d = g[i] * scale + decay * w[i];
          a[i] = keep * a[i] + (1 - keep) * d * d;
          w[i] -= lr * (d / (std::sqrt(a[i]) + epsilon));
        }
      }
      break;
    case Kind::kAdam:
    case Kind::kAdamW:
      for (size_t i = 0; i < n; ++i) {
        const T d = g[i] * scale + decay * w[i];
        a[i] = momentum * a[i] + (1 - momentum) * d;
        b[i] = keep * b[i] + (1 - keep) * d * d;
        w[i] = shrink * w[i] - lr * a[i] / (std::sqrt(b[i]) + epsilon);
      }
      break;
  }
}

#define THRONG_SET(name, attribute)                                                                                                        \
  template <class T>                                                                                                                       \
  struct name {                                                                                                                            \
    attribute static void move(Kind kind, const typename StepKernels<T>::Step& step, T* w, const T* g, T* a, T* b, size_t n) {             \
      move_body<T>(kind, step, w, g, a, b, n);                                                                                             \
    }                                                                                                                                      \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
void StepKernels<T>::move(Kind kind, const Step& step, T* w, const T* g, T* a, T* b, size_t n) {
  THRONG_CALL(move(kind, step, w, g, a, b, n));
}

template struct StepKernels<float>;
template struct StepKernels<double>;

}  // namespace throng::nn
