// What makers of blocks leave free behind the bytes, so that a message made of one needs no copy.
#pragma once
#include <cstddef>

namespace throng::data {

/// Capacity beyond its size that `Batch::serialize_by` gives a buffer.
inline constexpr size_t kTrailerRoom = 64;

}  // namespace throng::data
