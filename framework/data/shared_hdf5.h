// One HDF5 file written by all ranks at once.
#pragma once
#include <filesystem>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/data/hdf5_file.h"

namespace throng::data {

/// Over MPI, parallel HDF5 with collective MPI-IO transfers; where the ranks are threads of one process, they share the handle.
/// All functions are collective: every rank calls them with the same path and type. A failure on one rank ends the others'
/// next call with PeerFailure. A file that was not closed is not complete, and its destructor leaves it so.
class SharedHdf5File {
 public:
  SharedHdf5File(std::filesystem::path path, comm::Communicator& comm);
  SharedHdf5File(const SharedHdf5File&) = delete;
  SharedHdf5File& operator=(const SharedHdf5File&) = delete;
  /// Makes a one-dimensional dataset of `count` values; contiguous, its place on disk taken at once.
  void make(const std::string& path, ArrayType type, uint64_t count);
  void set_attribute(const std::string& path, const std::string& name, const std::string& value);
  /// Each rank writes its own `count` values (none is allowed) from `first` on; the ranks' ranges must not overlap. Any size:
  /// one transfer is at most 256 MiB.
  void write(const std::string& path, ArrayType type, uint64_t first, const void* values, uint64_t count);
  void close();

 private:
  std::filesystem::path path_;
  comm::Communicator& comm_;
  bool parallel_;
  int64_t id_ = -1, transfer_ = -1;
};

}  // namespace throng::data
