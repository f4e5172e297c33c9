// Reads of plain arrays past HDF5: from their places in the file, by any number of threads at once. Internal to framework/data.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "framework/data/hdf5_file.h"

namespace throng::data::hdf5 {

/// Where the arrays of one file lie, looked up once. HDF5 holds a process-wide lock while it copies; this holds it for the lookup only.
class DirectReads {
 public:
  explicit DirectReads(const std::filesystem::path& path);
  ~DirectReads();
  DirectReads(const DirectReads&) = delete;
  DirectReads& operator=(const DirectReads&) = delete;

  /// Reads values of a one-dimensional array; false where it is not plain (compressed, of another type, virtual), and HDF5 must.
  /// `file` is the open file. Thread-safe. A data error where the file ends early.
  bool read(int64_t file, const std::string& path, ArrayType type, uint64_t first, uint64_t count, void* into);

 private:
  struct Array {
    uint64_t size = 0, per_chunk = 0;  // values; 0 a chunk: not plain
    std::vector<uint64_t> chunks;      // offsets in the file
  };
  static Array look_up(int64_t file, const std::string& path, ArrayType type);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::mutex mutex_;
  std::map<std::pair<std::string, ArrayType>, Array> arrays_;
};

}  // namespace throng::data::hdf5
