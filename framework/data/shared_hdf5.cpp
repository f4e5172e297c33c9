#include "framework/data/shared_hdf5.h"

#include <algorithm>

#include "framework/data/hdf5_internal.h"

namespace throng::data {

using namespace hdf5;  // NOLINT: the helpers of this door

namespace {
constexpr uint64_t kTransferBytes = uint64_t{256} << 20;  // MPI-IO counts in ints
}

// Each call begins with a barrier: a rank that failed earlier does not come, and the others learn it there instead of waiting
// inside MPI-IO for ever.

SharedHdf5File::SharedHdf5File(std::filesystem::path path, comm::Communicator& comm)
    : path_(std::move(path)), comm_(comm), parallel_(comm.transport().is_mpi_world() && comm.size() > 1) {
  if (parallel_) {
    comm_.barrier();
    HDF5_LOCK;
    Quiet quiet;
    Id access(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    id_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    transfer_ = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_dxpl_mpio(transfer_, H5FD_MPIO_COLLECTIVE);
    if (id_ < 0) throw system_error("{}: cannot be created: {}", path_.string(), reason());
    return;
  }
  if (comm_.rank() == 0) {
    HDF5_LOCK;
    Quiet quiet;
    Id access(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    id_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    transfer_ = H5P_DEFAULT;
    if (id_ < 0) throw system_error("{}: cannot be created: {}", path_.string(), reason());
  }
  // One process: the handle is everyone's.
  std::string handle = std::to_string(id_);
  comm_.broadcast(handle);
  id_ = std::stoll(handle), transfer_ = H5P_DEFAULT;
}

void SharedHdf5File::make(const std::string& path, ArrayType type, uint64_t count) {
  comm_.barrier();
  if (!parallel_ && comm_.rank() != 0) return;
  HDF5_LOCK;
  Quiet quiet;
  hsize_t size = count;
  Id space(H5Screate_simple(1, &size, nullptr)), create(H5Pcreate(H5P_DATASET_CREATE)), links(link_properties());
  H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);
  Id set(H5Dcreate2(id_, path.c_str(), native(type), space, links, create, H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
}

void SharedHdf5File::set_attribute(const std::string& path, const std::string& name, const std::string& value) {
  comm_.barrier();
  if (!parallel_ && comm_.rank() != 0) return;
  HDF5_LOCK;
  Quiet quiet;
  write_attribute(id_, path_, path, name, value);
}

void SharedHdf5File::write(const std::string& path, ArrayType type, uint64_t first, const void* values, uint64_t count) {
  const uint64_t most = kTransferBytes / array_value_bytes(type);
  const int64_t rounds = comm_.allreduce(int64_t((count + most - 1) / most), comm::Op::kMax);
  for (int64_t round = 0; round < rounds; ++round) {
    const uint64_t begin = std::min(count, uint64_t(round) * most), n = std::min(count - begin, most);
    if (round > 0) comm_.barrier();
    HDF5_LOCK;
    Quiet quiet;
    if (!parallel_ && n == 0) continue;
    Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
    check_write(set < 0 ? -1 : 0, path_, path);
    Id file_space(H5Dget_space(set));
    hsize_t at = first + begin, size = std::max<uint64_t>(n, 1);
    Id memory_space(H5Screate_simple(1, &size, nullptr));
    if (n == 0)
      H5Sselect_none(file_space), H5Sselect_none(memory_space);
    else
      check_write(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &at, nullptr, &size, nullptr), path_, path);
    const char none[8] = {};
    const void* from = n == 0 ? none : static_cast<const char*>(values) + begin * array_value_bytes(type);
    check_write(H5Dwrite(set, native(type), memory_space, file_space, transfer_, from), path_, path);
  }
}

void SharedHdf5File::close() {
  comm_.barrier();
  if (parallel_ || comm_.rank() == 0) {
    HDF5_LOCK;
    Quiet quiet;
    if (parallel_) H5Pclose(transfer_);
    herr_t flushed = H5Fflush(id_, H5F_SCOPE_GLOBAL);
    std::string why = flushed < 0 ? reason() : "";
    herr_t closed = H5Fclose(std::exchange(id_, -1));
    if (flushed < 0 || closed < 0) throw system_error("{}: cannot be completed: {}", path_.string(), flushed < 0 ? why : reason());
  }
  comm_.barrier();
}

}  // namespace throng::data
