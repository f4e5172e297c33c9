// The growing arrays of one part file, their chunks chosen by what is written. Internal to framework/data.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "framework/base/buffer.h"
#include "framework/base/write_behind.h"
#include "framework/data/hdf5_file.h"

namespace throng::data {

/// Appends to one-dimensional arrays of a new HDF5 file. The first rows, about a piece of 4 MiB, are held back: where no more come the arrays
/// are as long as what they hold, and otherwise a chunk of an array has what the array had of those rows, so that a later piece is
/// read from one or two chunks. One thread.
class ArrayWriter {
 public:
  explicit ArrayWriter(const std::filesystem::path& path);
  /// Makes an empty array.
  void make(const std::string& path, ArrayType type);
  void append(const std::string& path, const void* values, uint64_t count);
  /// To be called between pieces: what is written has one chunk size from one of these calls on.
  void end_piece();
  void close();

 private:
  struct Array {
    ArrayType type{};
    uint64_t chunk = 0;    // values; 0: not laid out yet
    Buffer held{};         // until then
  };
  void lay_out(const std::string& path, Array& array);

  Hdf5File file_;
  WriteBehind behind_;
  std::map<std::string, Array> arrays_;
  bool laid_out_ = false;
  uint64_t held_bytes_ = 0;  // before the layout
};

}  // namespace throng::data
