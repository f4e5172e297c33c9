// A kernel compiled for each set of vector instructions, and the choice among them at run time. Internal to kernels.
#pragma once
#include "framework/tensor/cpu.h"

/// A kernel's loop, without a set of its own: it becomes part of what calls it.
#define THRONG_BODY template <class T> __attribute__((always_inline)) inline
/// Marks a function for one set of instructions: in vectors, without fused multiply-add, so that the bits are the same everywhere.
#define THRONG_KERNEL(isa) __attribute__((target(isa), optimize("O3", "no-trapping-math", "fp-contract=off")))
#define THRONG_AVX2 "avx2"
#define THRONG_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"

/// SET(name, attribute) is a macro that makes a struct template <class T> `name` of static functions with the attribute: it becomes Plain, Avx2 and Avx512.
/// THRONG_CALL(function(arguments)) then calls that of the set in use, for the T of the place where it stands.
#if defined(__x86_64__)
#define THRONG_INSTRUCTION_SETS(SET) SET(Plain, ) SET(Avx2, THRONG_KERNEL(THRONG_AVX2)) SET(Avx512, THRONG_KERNEL(THRONG_AVX512))
#define THRONG_CALL(call)                                                                   \
  switch (::throng::tensor::instructions()) {                                               \
    case ::throng::tensor::Instructions::kAvx512: return Avx512<T>::call;                   \
    case ::throng::tensor::Instructions::kAvx2: return Avx2<T>::call;                       \
    default: return Plain<T>::call;                                                         \
  }
#else
#define THRONG_INSTRUCTION_SETS(SET) SET(Plain, )
#define THRONG_CALL(call) return Plain<T>::call
#endif
