#include "framework/tensor/vector_kernels.h"

#include <cstdint>

#include "framework/tensor/instruction_sets.h"
#include "framework/tensor/lane_bodies.h"

namespace throng::tensor {
namespace {

THRONG_BODY void axpy_body(T alpha, const T* __restrict x, T* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}
THRONG_BODY void scale_body(T factor, T* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}
THRONG_BODY void add_body(const T* __restrict x, T* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}
THRONG_BODY void sum_body(const T* __restrict a, const T* __restrict b, T* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}
THRONG_BODY void multiply_add_body(const T* __restrict a, const T* __restrict b, T* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += a[i] * b[i];
}

// Calls note(lane, i) for each number, in lanes, so that what it counts up goes by vectors.
template <class Note>
__attribute__((always_inline)) inline void in_lanes(size_t n, const Note& note) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) note(l, i + l);
  for (; i < n; ++i) note(i % kLanes, i);
}
THRONG_BODY size_t count_at_least_body(T least, const T* x, size_t n) {
  uint32_t counts[kLanes] = {};
  in_lanes(n, [&](size_t l, size_t i) __attribute__((always_inline)) { counts[l] += x[i] >= least; });
  return size_t(lane_sum(counts));
}
THRONG_BODY bool all_at_most_body(T most, const T* x, size_t n) {
  uint32_t others[kLanes] = {};
  in_lanes(n, [&](size_t l, size_t i) __attribute__((always_inline)) { others[l] |= !(x[i] <= most); });
  return lane_sum(others) == 0;
}
THRONG_BODY bool all_finite_body(const T* x, size_t n) {
  uint32_t others[kLanes] = {};
  in_lanes(n, [&](size_t l, size_t i) __attribute__((always_inline)) { others[l] |= !(x[i] - x[i] == 0); });
  return lane_sum(others) == 0;
}

#define THRONG_SET(name, attribute)                                                                            \
  template <class T>                                                                                           \
  struct name {                                                                                                \
    attribute static T dot(const T* a, const T* b, size_t n) { return dot_body(a, b, n); }                     \
    attribute static void axpy(T alpha, const T* x, T* y, size_t n) { axpy_body(alpha, x, y, n); }             \
    attribute static void scale(T factor, T* x, size_t n) { scale_body(factor, x, n); }                        \
    attribute static void add(const T* x, T* y, size_t n) { add_body(x, y, n); }                               \
    attribute static void sum(const T* a, const T* b, T* y, size_t n) { sum_body(a, b, y, n); }                \
    attribute static void multiply_add(const T* a, const T* b, T* y, size_t n) { multiply_add_body(a, b, y, n); } \
    attribute static size_t count_at_least(T least, const T* x, size_t n) { return count_at_least_body(least, x, n); } \
    attribute static bool all_at_most(T most, const T* x, size_t n) { return all_at_most_body(most, x, n); }   \
    attribute static bool all_finite(const T* x, size_t n) { return all_finite_body(x, n); }                   \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
T dot(const T* a, const T* b, size_t n) {
  THRONG_CALL(dot(a, b, n));
}
template <class T>
void axpy(T alpha, const T* x, T* y, size_t n) {
  THRONG_CALL(axpy(alpha, x, y, n));
}
template <class T>
void scale(T factor, T* x, size_t n) {
  THRONG_CALL(scale(factor, x, n));
}
template <class T>
void add(const T* x, T* y, size_t n) {
  THRONG_CALL(add(x, y, n));
}
template <class T>
void sum(const T* a, const T* b, T* y, size_t n) {
  THRONG_CALL(sum(a, b, y, n));
}
template <class T>
void multiply_add(const T* a, const T* b, T* y, size_t n) {
  THRONG_CALL(multiply_add(a, b, y, n));
}

template <class T>
size_t count_at_least(T least, const T* x, size_t n) {
  THRONG_CALL(count_at_least(least, x, n));
}
template <class T>
bool all_at_most(T most, const T* x, size_t n) {
  THRONG_CALL(all_at_most(most, x, n));
}
template <class T>
bool all_finite(const T* x, size_t n) {
  THRONG_CALL(all_finite(x, n));
}

#define THRONG_INSTANTIATE(T)                              \
  template T dot<T>(const T*, const T*, size_t);           \
  template void axpy<T>(T, const T*, T*, size_t);          \
  template void scale<T>(T, T*, size_t);                   \
  template void add<T>(const T*, T*, size_t);              \
  template void sum<T>(const T*, const T*, T*, size_t);    \
  template void multiply_add<T>(const T*, const T*, T*, size_t); \
  template size_t count_at_least<T>(T, const T*, size_t);  \
  template bool all_at_most<T>(T, const T*, size_t);       \
  template bool all_finite<T>(const T*, size_t);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::tensor
