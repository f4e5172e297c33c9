#include "framework/data/hdf5_direct.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "framework/data/hdf5_internal.h"

namespace throng::data::hdf5 {

DirectReads::DirectReads(const std::filesystem::path& path) : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
DirectReads::~DirectReads() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

DirectReads::Array DirectReads::look_up(int64_t file, const std::string& path, ArrayType type) {
  HDF5_LOCK;
  Quiet quiet;
  Array array;
  Id set(H5Dopen2(file, path.c_str(), H5P_DEFAULT));
  if (set < 0) return array;
  Id stored(H5Dget_type(set)), space(H5Dget_space(set)), properties(H5Dget_create_plist(set));
  hsize_t size = 0, chunk = 0;
  if (H5Tequal(stored, native(type)) <= 0 || H5Sget_simple_extent_ndims(space) != 1 || H5Pget_nfilters(properties) != 0) return array;
  H5Sget_simple_extent_dims(space, &size, nullptr);
  array.size = size;
  if (H5Pget_layout(properties) == H5D_CONTIGUOUS && H5Pget_external_count(properties) == 0) {
    const haddr_t at = H5Dget_offset(set);
    if (at == HADDR_UNDEF) return array;
    array.chunks = {at};
    array.per_chunk = std::max<hsize_t>(1, size);
    return array;
  }
  if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, 1, &chunk) != 1) return array;
  for (hsize_t first = 0; first < size; first += chunk) {
    unsigned filters = 0;
    haddr_t at = HADDR_UNDEF;
    hsize_t bytes = 0;
    if (H5Dget_chunk_info_by_coord(set, &first, &filters, &at, &bytes) < 0 || at == HADDR_UNDEF || bytes != chunk * array_value_bytes(type)) return array;
    array.chunks.push_back(at);
  }
  array.per_chunk = chunk;
  return array;
}

bool DirectReads::read(int64_t file, const std::string& path, ArrayType type, uint64_t first, uint64_t count, void* into) {
  if (descriptor_ < 0) return false;
  const Array* array = nullptr;
  {
    std::lock_guard lock(mutex_);
    auto it = arrays_.find({path, type});
    if (it == arrays_.end()) it = arrays_.emplace(std::pair(path, type), look_up(file, path, type)).first;
    array = &it->second;
  }
  if (array->per_chunk == 0 || first > array->size || count > array->size - first) return false;
  const uint64_t width = array_value_bytes(type);
  char* to = static_cast<char*>(into);
  for (const uint64_t end = first + count; first < end;) {
    const uint64_t chunk = first / array->per_chunk, within = first % array->per_chunk, n = std::min(end - first, array->per_chunk - within);
    for (uint64_t done = 0, bytes = n * width; done < bytes;) {
      const ssize_t got = ::pread(descriptor_, to + done, bytes - done, off_t(array->chunks[chunk] + within * width + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw data_error("{}: '{}' cannot be read: {}", path_.string(), path, got == 0 ? "the file is cut short" : std::strerror(errno));
      done += uint64_t(got);
    }
    to += n * width;
    first += n;
  }
  return true;
}

}  // namespace throng::data::hdf5
