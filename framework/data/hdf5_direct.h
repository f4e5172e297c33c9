// Reads of arrays past HDF5, plain or deflated: from their places in the file, by any number of threads at once. Internal to framework/data.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "framework/data/deflate.h"
#include "framework/data/hdf5_file.h"

namespace throng::data::hdf5 {

/// Where the arrays of one file lie, looked up once. HDF5 holds a process-wide lock while it copies; this holds it for the lookup only.
class DirectReads {
 public:
  explicit DirectReads(const std::filesystem::path& path);
  ~DirectReads();
  DirectReads(const DirectReads&) = delete;
  DirectReads& operator=(const DirectReads&) = delete;

  /// Reads values of a one-dimensional array; false where it is of another type, virtual, or has filters other than shuffle and deflate,
  /// and HDF5 must. Deflated chunks are inflated by the calling thread. `file` is the open file. Thread-safe. A data error where the file
  /// ends early or a chunk is damaged.
  bool read(int64_t file, const std::string& path, ArrayType type, uint64_t first, uint64_t count, void* into);

 private:
  struct Chunk {
    uint64_t at = 0, bytes = 0;  // in the file
    Packing packing{};
  };
  struct Array {
    uint64_t size = 0, per_chunk = 0;  // values; 0 a chunk: HDF5 must read it
    std::vector<Chunk> chunks;
  };
  static Array look_up(int64_t file, const std::string& path, ArrayType type);
  void read_bytes(const std::string& path, uint64_t at, std::byte* into, uint64_t bytes) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::mutex mutex_;
  std::map<std::pair<std::string, ArrayType>, Array> arrays_;
};

}  // namespace throng::data::hdf5
