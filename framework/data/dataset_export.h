// A dataset as one HDF5 file.
#pragma once
#include <filesystem>

#include "framework/comm/communicator.h"
#include "framework/data/dataset.h"

namespace throng::data {

/// Collective. Writes every column into one HDF5 file with the same paths as the dataset's dataset.h5, without links to part
/// files; each rank writes the partitions it owns, all into the one file at once. Holds one partition a rank in memory.
void write_single_file(const DatasetReader& reader, comm::Communicator& comm, const std::filesystem::path& path);

}  // namespace throng::data
