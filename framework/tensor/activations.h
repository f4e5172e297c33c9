// Activation functions over arrays, in place.
#pragma once
#include <cstddef>

namespace throng::tensor {

/// x[i] = 1 / (1 + exp(-x[i])). In float by a polynomial (Cephes' expf, Moshier), within 2e-7 of the truth, with the same bits
/// on every processor; in double by the C library.
void sigmoid(float* x, size_t n);
void sigmoid(double* x, size_t n);
/// x[i] = tanh(x[i]), likewise; in float within 3e-7 relative.
void tanh(float* x, size_t n);
void tanh(double* x, size_t n);
/// x[i] = exp(x[i]); in float within 2e-7 relative; below -87 it is the smallest normal number, above 88 exp(88).
void exp(float* x, size_t n);
void exp(double* x, size_t n);

}  // namespace throng::tensor
