// Rows cut into panels, as products take their right side. Internal to kernels.
#pragma once
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace throng::tensor {

/// `n` numbers of each of `rows` rows, and zeros up to `width`: what products read one after the other.
template <class T>
void pack_panel(const T* from, size_t ld, size_t rows, size_t n, size_t width, T* to) {
  // Sizes that the compiler knows become a few moves.
  const auto whole = [&](auto bytes) {
    for (size_t l = 0; l < rows; ++l) std::memcpy(to + l * width, from + l * ld, bytes);
  };
  if (n == width && n * sizeof(T) == 128) return whole(std::integral_constant<size_t, 128>());
  if (n == width && n * sizeof(T) == 64) return whole(std::integral_constant<size_t, 64>());
  for (size_t l = 0; l < rows; ++l) {
    for (size_t j = 0; j < n; ++j) to[l * width + j] = from[l * ld + j];
    for (size_t j = n; j < width; ++j) to[l * width + j] = T(0);
  }
}

}  // namespace throng::tensor
