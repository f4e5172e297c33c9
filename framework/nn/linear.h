// Products with weights, and rows of tables.
#pragma once
#include <optional>
#include <span>

#include "framework/nn/tape.h"

namespace throng::nn {

/// x (N, I) * W^T + b, with W (O, I) and b (1, O) or none: (N, O). As torch.nn.functional.linear.
template <class T>
Var linear(Tape<T>& t, Var x, const Parameter& weight, const std::optional<Parameter>& bias = {});

/// Rows of a table (V, H): row i of the result is row ids[i], or zeros where that is negative. `ids` is copied.
template <class T>
Var embedding(Tape<T>& t, const Parameter& table, std::span<const int32_t> ids);

/// x (N, H) * rows `ids` of a table, transposed, + their bias (table's rows, 1) or none: (N, ids). A row may come more than once.
template <class T>
Var linear_of_rows(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> ids);

}  // namespace throng::nn
