// One chunk of an array as HDF5's filters `shuffle` and `deflate` store it, so that any HDF5 reads it. Internal to framework/data.
#pragma once
#include <span>

#include "framework/base/buffer.h"
#include "framework/data/hdf5_file.h"

namespace throng::data {

/// The filters a chunk went through: shuffled (all first bytes, then all second ones), then deflated (zlib's format).
struct Packing {
  bool shuffled = false, deflated = false;
};
/// How compressed arrays are packed. Whole numbers are shuffled; floats that repeat, such as prices, would come out larger.
inline Packing packing_of(ArrayType type) {
  return {.shuffled = type == ArrayType::kInt32 || type == ArrayType::kUInt32 || type == ArrayType::kInt64, .deflated = true};
}

/// Deflates at `level`, 1 to 9. Thread-safe.
Buffer pack_chunk(std::span<const std::byte> values, Packing packing, size_t value_bytes, int level);
/// The reverse. False where `packed` is damaged or does not hold exactly what `values` takes. Thread-safe.
bool unpack_chunk(std::span<const std::byte> packed, Packing packing, size_t value_bytes, std::span<std::byte> values);

}  // namespace throng::data
