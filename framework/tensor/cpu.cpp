#include "framework/tensor/cpu.h"

#include <algorithm>

namespace throng::tensor {
namespace {

Instructions best() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) return Instructions::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Instructions::kAvx2;
#endif
  return Instructions::kPlain;
}

Instructions in_use = best();

}  // namespace

Instructions instructions() { return in_use; }
void limit_instructions(Instructions most) { in_use = std::min(most, best()); }

}  // namespace throng::tensor
