#include "framework/data/hdf5_direct.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "framework/data/hdf5_internal.h"

namespace throng::data::hdf5 {

DirectReads::DirectReads(const std::filesystem::path& path) : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
DirectReads::~DirectReads() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

namespace {

// The filters of an array, in the order that chunks go through them; none where there are others than shuffle and deflate.
std::optional<std::vector<H5Z_filter_t>> filters_of(hid_t properties) {
  std::vector<H5Z_filter_t> filters;
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    size_t no_values = 0;
    filters.push_back(H5Pget_filter2(properties, unsigned(i), nullptr, &no_values, nullptr, 0, nullptr, nullptr));
  }
  const std::vector<H5Z_filter_t> deflate{H5Z_FILTER_DEFLATE}, both{H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE};
  if (!filters.empty() && filters != deflate && filters != both) return std::nullopt;
  return filters;
}

}  // namespace

DirectReads::Array DirectReads::look_up(int64_t file, const std::string& path, ArrayType type) {
  HDF5_LOCK;
  Quiet quiet;
  Array array;
  Id set(H5Dopen2(file, path.c_str(), H5P_DEFAULT));
  if (set < 0) return array;
  Id stored(H5Dget_type(set)), space(H5Dget_space(set)), properties(H5Dget_create_plist(set));
  hsize_t size = 0, chunk = 0;
  const auto filters = filters_of(properties);
  if (H5Tequal(stored, native(type)) <= 0 || H5Sget_simple_extent_ndims(space) != 1 || !filters) return array;
  H5Sget_simple_extent_dims(space, &size, nullptr);
  array.size = size;
  if (H5Pget_layout(properties) == H5D_CONTIGUOUS && H5Pget_external_count(properties) == 0) {
    const haddr_t at = H5Dget_offset(set);
    if (at == HADDR_UNDEF) return array;
    array.chunks = {{at, size * array_value_bytes(type), {}}};
    array.per_chunk = std::max<hsize_t>(1, size);
    return array;
  }
  if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, 1, &chunk) != 1) return array;
  for (hsize_t first = 0; first < size; first += chunk) {
    unsigned skipped = 0;  // a bit for each filter that this chunk did not go through
    haddr_t at = HADDR_UNDEF;
    hsize_t bytes = 0;
    if (H5Dget_chunk_info_by_coord(set, &first, &skipped, &at, &bytes) < 0 || at == HADDR_UNDEF) return array;
    Packing packing;
    for (size_t i = 0; i < filters->size(); ++i)
      if (!(skipped >> i & 1)) ((*filters)[i] == H5Z_FILTER_SHUFFLE ? packing.shuffled : packing.deflated) = true;
    if (!packing.deflated && bytes != chunk * array_value_bytes(type)) return array;
    array.chunks.push_back({at, bytes, packing});
  }
  array.per_chunk = chunk;
  return array;
}

void DirectReads::read_bytes(const std::string& path, uint64_t at, std::byte* into, uint64_t bytes) const {
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(descriptor_, into + done, bytes - done, off_t(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw data_error("{}: '{}' cannot be read: {}", path_.string(), path, got == 0 ? "the file is cut short" : std::strerror(errno));
    done += uint64_t(got);
  }
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
  std::byte* to = static_cast<std::byte*>(into);
  for (const uint64_t end = first + count; first < end;) {
    const Chunk& chunk = array->chunks[first / array->per_chunk];
    const uint64_t within = first % array->per_chunk, n = std::min(end - first, array->per_chunk - within);
    if (!chunk.packing.shuffled && !chunk.packing.deflated) {
      read_bytes(path, chunk.at + within * width, to, n * width);
    } else {
      thread_local Buffer packed, values;
      packed.resize(chunk.bytes);
      read_bytes(path, chunk.at, packed.data(), chunk.bytes);
      const bool whole = n == array->per_chunk;
      if (!whole) values.resize(array->per_chunk * width);
      if (!unpack_chunk(packed, chunk.packing, width, whole ? std::span(to, n * width) : std::span<std::byte>(values)))
        throw data_error("{}: '{}' cannot be read: the compressed chunk of value {} is damaged", path_.string(), path, first)
            .with_hint("the file was damaged after it was written; remove the dataset and run the step again");
      if (!whole) std::memcpy(to, values.data() + within * width, n * width);
    }
    to += n * width;
    first += n;
  }
  return true;
}

}  // namespace throng::data::hdf5
