// 64-bit keys of rows that order as columns do, where the values at hand allow it.
#pragma once
#include <optional>

#include "framework/data/row_order.h"

namespace throng::data {

/// Keys of the rows of some batches under one layout: the ranges that the columns' values span, side by side.
struct CompactKeys {
  std::vector<AlignedVector<uint64_t>> of_batch;
  int bits = 0;  ///< keys are below 2^bits
  /// nullopt where the ranges need more than 64 bits, or a column is text or a list.
  static std::optional<CompactKeys> of(const std::vector<const Batch*>& batches, const std::vector<OrderBy>& columns);
};

/// Row numbers in order of their keys, which are below 2^bits; equal keys in order of row number.
std::vector<int64_t> radix_order(std::span<const uint64_t> keys, int bits);

/// Sorts numbers below 2^bits.
void radix_sort(AlignedVector<uint64_t>& keys, int bits);

}  // namespace throng::data
