// Loops over short float vectors, for AVX2 where the processor has it. Sixteen fixed lanes and no fused multiply-add, so
// that the bits are the same on every processor.
#pragma once
#include <cstddef>

namespace throng::tensor {

/// Sum of a[i] * b[i].
float dot(const float* a, const float* b, size_t n);
/// y[i] += alpha * x[i].
void axpy(float alpha, const float* x, float* y, size_t n);

}  // namespace throng::tensor
