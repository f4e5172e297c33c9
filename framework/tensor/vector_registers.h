// Vectors of floats and of doubles by one set of names, for products whose tiles stay in registers. Internal to kernels.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace throng::tensor {

#define THRONG_INLINE(isa) __attribute__((target(isa), always_inline)) inline

struct Avx512 {
  template <class T>
  static constexpr size_t kLanes = 64 / sizeof(T);
  struct Floats { __m512 v; };
  struct Doubles { __m512d v; };
  THRONG_INLINE("avx512f") static Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
  THRONG_INLINE("avx512f") static Doubles load(const double* p) { return {_mm512_loadu_pd(p)}; }
  // The numbers whose bit is 1; of the others 0 is read, and nothing written.
  THRONG_INLINE("avx512f") static Floats load(const float* p, uint32_t which) { return {_mm512_maskz_loadu_ps(__mmask16(which), p)}; }
  THRONG_INLINE("avx512f") static Doubles load(const double* p, uint32_t which) { return {_mm512_maskz_loadu_pd(__mmask8(which), p)}; }
  THRONG_INLINE("avx512f") static void store(float* p, const Floats& v, uint32_t which) { _mm512_mask_storeu_ps(p, __mmask16(which), v.v); }
  THRONG_INLINE("avx512f") static void store(double* p, const Doubles& v, uint32_t which) { _mm512_mask_storeu_pd(p, __mmask8(which), v.v); }
  THRONG_INLINE("avx512f") static Floats spread(float x) { return {_mm512_set1_ps(x)}; }
  THRONG_INLINE("avx512f") static Doubles spread(double x) { return {_mm512_set1_pd(x)}; }
  THRONG_INLINE("avx512f") static void fma(const Floats& a, const Floats& b, Floats& c) { c.v = _mm512_fmadd_ps(a.v, b.v, c.v); }
  THRONG_INLINE("avx512f") static void fma(const Doubles& a, const Doubles& b, Doubles& c) { c.v = _mm512_fmadd_pd(a.v, b.v, c.v); }
  THRONG_INLINE("avx512f") static Floats sum(const Floats& a, const Floats& b) { return {_mm512_add_ps(a.v, b.v)}; }
  THRONG_INLINE("avx512f") static Doubles sum(const Doubles& a, const Doubles& b) { return {_mm512_add_pd(a.v, b.v)}; }
  THRONG_INLINE("avx512f") static void store(float* p, const Floats& v) { _mm512_storeu_ps(p, v.v); }
  THRONG_INLINE("avx512f") static void store(double* p, const Doubles& v) { _mm512_storeu_pd(p, v.v); }
};

struct Avx2 {
  template <class T>
  static constexpr size_t kLanes = 32 / sizeof(T);
  struct Floats { __m256 v; };
  struct Doubles { __m256d v; };
  THRONG_INLINE("avx2,fma") static Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
  THRONG_INLINE("avx2,fma") static Doubles load(const double* p) { return {_mm256_loadu_pd(p)}; }
  THRONG_INLINE("avx2,fma") static Floats spread(float x) { return {_mm256_set1_ps(x)}; }
  THRONG_INLINE("avx2,fma") static Doubles spread(double x) { return {_mm256_set1_pd(x)}; }
  THRONG_INLINE("avx2,fma") static void fma(const Floats& a, const Floats& b, Floats& c) { c.v = _mm256_fmadd_ps(a.v, b.v, c.v); }
  THRONG_INLINE("avx2,fma") static void fma(const Doubles& a, const Doubles& b, Doubles& c) { c.v = _mm256_fmadd_pd(a.v, b.v, c.v); }
  THRONG_INLINE("avx2,fma") static Floats sum(const Floats& a, const Floats& b) { return {_mm256_add_ps(a.v, b.v)}; }
  THRONG_INLINE("avx2,fma") static Doubles sum(const Doubles& a, const Doubles& b) { return {_mm256_add_pd(a.v, b.v)}; }
  THRONG_INLINE("avx2,fma") static void store(float* p, const Floats& v) { _mm256_storeu_ps(p, v.v); }
  THRONG_INLINE("avx2,fma") static void store(double* p, const Doubles& v) { _mm256_storeu_pd(p, v.v); }
};

}  // namespace throng::tensor
#undef THRONG_INLINE
#endif
