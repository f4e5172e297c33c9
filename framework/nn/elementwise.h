// Operations on each element, or each row, of matrices on a tape.
#pragma once
#include <span>

#include "framework/nn/tape.h"

namespace throng::nn {

/// a + b of equal shape; where b has one row, it is added to each row of a.
template <class T>
Var add(Tape<T>& t, Var a, Var b);
/// a * b, element by element.
template <class T>
Var multiply(Tape<T>& t, Var a, Var b);
template <class T>
Var scale(Tape<T>& t, Var a, double factor);

/// leaky_relu's slope below 0 is 0.01; gelu is x * Phi(x), exactly (Hendrycks and Gimpel, 2016), as PyTorch's default.
enum class Activation { kRelu, kLeakyRelu, kTanh, kSigmoid, kGelu };
template <class T>
Var activate(Tape<T>& t, Var a, Activation activation);

/// In training, each element is 0 with probability `p`, the others are divided by 1 - p; else a itself.
template <class T>
Var dropout(Tape<T>& t, Var a, double p);

/// Columns side by side.
template <class T>
Var concat(Tape<T>& t, std::span<const Var> parts);
template <class T>
Var slice(Tape<T>& t, Var a, size_t from_col, size_t cols);
/// Row i of the result is row index[i] of a; a row may come more than once, or never. `index` is copied.
template <class T>
Var gather_rows(Tape<T>& t, Var a, std::span<const uint32_t> index);
/// The same numbers with another number of columns.
template <class T>
Var reshape(Tape<T>& t, Var a, size_t rows, size_t cols);
/// (N, 1): the dot product of row i of a and row i of b.
template <class T>
Var row_dot(Tape<T>& t, Var a, Var b);

}  // namespace throng::nn
