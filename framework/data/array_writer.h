// The growing arrays of one part file: their chunks chosen by what is written, packed where that is wished. Internal to framework/data.
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/base/write_behind.h"
#include "framework/data/dataset.h"
#include "framework/data/hdf5_file.h"

namespace throng::data {

/// Appends to one-dimensional arrays of a new HDF5 file. The first rows, about a piece of 4 MiB, are held back: where no more come the arrays
/// are as long as what they hold, and otherwise a chunk of an array has what the array had of those rows, so that a later piece is
/// read from one or two chunks. Packed chunks are a quarter of that, since one is unpacked whole. One thread.
class ArrayWriter {
 public:
  ArrayWriter(const std::filesystem::path& path, const Storage& storage);
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
    uint64_t written = 0;  // values in the file, or in a full chunk
    Buffer held{};
  };
  struct FullChunk {
    std::string path;
    ArrayType type;
    uint64_t first, end;
    Buffer values;
  };
  void lay_out(const std::string& path, Array& array);
  void cut_chunks(const std::string& path, Array& array, bool last);
  void write_chunks();

  Storage storage_;
  Hdf5File file_;
  WriteBehind behind_;
  std::map<std::string, Array> arrays_;
  bool laid_out_ = false;
  uint64_t held_bytes_ = 0;  // before the layout
  std::vector<FullChunk> full_;
  uint64_t full_bytes_ = 0;
};

}  // namespace throng::data
