#include "framework/data/hdf5_file.h"

#include <algorithm>

#include "framework/data/deflate.h"
#include "framework/data/hdf5_direct.h"
#include "framework/data/hdf5_internal.h"

namespace throng::data {
using namespace hdf5;  // NOLINT: the helpers of this door

size_t array_value_bytes(ArrayType type) {
  return type == ArrayType::kUInt8 ? 1 : type == ArrayType::kInt64 || type == ArrayType::kFloat64 ? 8 : 4;
}

Hdf5File::Hdf5File(std::filesystem::path path, int64_t id) : path_(std::move(path)), id_(id) {}
Hdf5File::Hdf5File(Hdf5File&& other) noexcept : path_(std::move(other.path_)), id_(std::exchange(other.id_, -1)), direct_(std::move(other.direct_)) {}
Hdf5File& Hdf5File::operator=(Hdf5File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(id_, other.id_);
  std::swap(direct_, other.direct_);
  return *this;
}
Hdf5File::~Hdf5File() {
  HDF5_LOCK;
  if (id_ >= 0) H5Fclose(id_);
}

Hdf5File Hdf5File::create(const std::filesystem::path& path) {
  HDF5_LOCK;
  Quiet quiet;
  Id access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  if (id < 0) throw system_error("{}: cannot be created: {}", path.string(), reason());
  return Hdf5File(path, id);
}

Hdf5File Hdf5File::open(const std::filesystem::path& path) {
  HDF5_LOCK;
  Quiet quiet;
  hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) throw data_error("{}: is not a readable HDF5 file: {}", path.string(), reason());
  Hdf5File file(path, id);
  file.direct_ = std::make_shared<DirectReads>(path);
  return file;
}

void Hdf5File::close() {
  HDF5_LOCK;
  if (id_ < 0) return;
  herr_t flushed = H5Fflush(id_, H5F_SCOPE_LOCAL);
  std::string why = flushed < 0 ? reason() : "";
  herr_t closed = H5Fclose(std::exchange(id_, -1));
  if (flushed < 0 || closed < 0) throw system_error("{}: cannot be completed: {}", path_.string(), flushed < 0 ? why : reason());
}

void Hdf5File::make_growing(const std::string& path, ArrayType type, uint64_t chunk_values, bool packed) {
  HDF5_LOCK;
  hsize_t size = 0, max = H5S_UNLIMITED, chunk = chunk_values;
  Id space(H5Screate_simple(1, &size, &max)), create(H5Pcreate(H5P_DATASET_CREATE)), links(link_properties());
  H5Pset_chunk(create, 1, &chunk);
  H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);  // the end of the last chunk takes no disk
  if (packed) {
    if (packing_of(type).shuffled) H5Pset_shuffle(create);
    H5Pset_deflate(create, 6);  // names the filter; the level is that of who packs
  }
  Id set(H5Dcreate2(id_, path.c_str(), native(type), space, links, create, H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
}

void Hdf5File::append(const std::string& path, ArrayType type, const void* values, uint64_t count) {
  if (count == 0) return;
  HDF5_LOCK;
  Id access(H5Pcreate(H5P_DATASET_ACCESS));
  H5Pset_chunk_cache(access, 0, 0, 0);  // straight to the file
  Id set(H5Dopen2(id_, path.c_str(), access));
  check_write(set < 0 ? -1 : 0, path_, path);
  Id old(H5Dget_space(set));
  hsize_t size = 0, n = count;
  H5Sget_simple_extent_dims(old, &size, nullptr);
  hsize_t grown = size + n;
  check_write(H5Dset_extent(set, &grown), path_, path);
  Id file_space(H5Dget_space(set)), memory_space(H5Screate_simple(1, &n, nullptr));
  H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &size, nullptr, &n, nullptr);
  check_write(H5Dwrite(set, native(type), memory_space, file_space, H5P_DEFAULT, values), path_, path);
}

void Hdf5File::append_chunk(const std::string& path, uint64_t first, uint64_t end, std::span<const std::byte> packed) {
  HDF5_LOCK;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
  hsize_t grown = end, at = first;
  check_write(H5Dset_extent(set, &grown), path_, path);
  check_write(H5Dwrite_chunk(set, H5P_DEFAULT, 0, &at, packed.size(), packed.data()), path_, path);
}

void Hdf5File::write(const std::string& path, ArrayType type, const void* values, const std::vector<uint64_t>& shape) {
  HDF5_LOCK;
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  Id space(H5Screate_simple(int(dims.size()), dims.data(), nullptr)), links(link_properties());
  Id set(H5Dcreate2(id_, path.c_str(), native(type), space, links, H5P_DEFAULT, H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
  if (H5Sget_simple_extent_npoints(space) > 0)
    check_write(H5Dwrite(set, native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values), path_, path);
}

void Hdf5File::make(const std::string& path, ArrayType type, uint64_t count) {
  HDF5_LOCK;
  const hsize_t size = count;
  Id space(H5Screate_simple(1, &size, nullptr)), links(link_properties());
  Id set(H5Dcreate2(id_, path.c_str(), native(type), space, links, H5P_DEFAULT, H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
}

void Hdf5File::write_part(const std::string& path, ArrayType type, uint64_t first, uint64_t count, const void* values) {
  if (count == 0) return;
  HDF5_LOCK;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
  const hsize_t at = first, n = count;
  Id file_space(H5Dget_space(set)), memory_space(H5Screate_simple(1, &n, nullptr));
  H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &at, nullptr, &n, nullptr);
  check_write(H5Dwrite(set, native(type), memory_space, file_space, H5P_DEFAULT, values), path_, path);
}

void Hdf5File::set_attribute(const std::string& path, const std::string& name, const std::string& value) {
  HDF5_LOCK;
  write_attribute(id_, path_, path, name, value);
}

bool Hdf5File::has(const std::string& path) const {
  HDF5_LOCK;
  Quiet quiet;
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    if (H5Lexists(id_, path.substr(0, at).c_str(), H5P_DEFAULT) <= 0) return false;
    if (at == std::string::npos) return true;
  }
}

std::vector<uint64_t> Hdf5File::shape(const std::string& path) const {
  HDF5_LOCK;
  Quiet quiet;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_read(set < 0 ? -1 : 0, path_, path);
  Id space(H5Dget_space(set));
  std::vector<hsize_t> dims(size_t(std::max(0, H5Sget_simple_extent_ndims(space))));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  return {dims.begin(), dims.end()};
}

ArrayType Hdf5File::stored_type(const std::string& path) const {
  HDF5_LOCK;
  Quiet quiet;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_read(set < 0 ? -1 : 0, path_, path);
  Id type(H5Dget_type(set));
  size_t width = H5Tget_size(type);
  if (H5Tget_class(type) == H5T_FLOAT) return width == 4 ? ArrayType::kFloat32 : ArrayType::kFloat64;
  return width == 1 ? ArrayType::kUInt8 : ArrayType::kInt64;
}

std::string Hdf5File::attribute(const std::string& path, const std::string& name) const {
  HDF5_LOCK;
  Quiet quiet;
  Id object(H5Oopen(id_, path.c_str(), H5P_DEFAULT));
  check_read(object < 0 ? -1 : 0, path_, path);
  Id attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT));
  check_read(attribute < 0 ? -1 : 0, path_, path + "@" + name);
  Id type(H5Aget_type(attribute));
  std::string value(H5Tget_size(type), '\0');
  check_read(H5Aread(attribute, type, value.data()), path_, path + "@" + name);
  while (!value.empty() && value.back() == '\0') value.pop_back();
  return value;
}

void Hdf5File::read(const std::string& path, ArrayType type, uint64_t first, uint64_t count, void* into) const {
  if (count == 0) return;
  if (direct_ && direct_->read(id_, path, type, first, count, into)) return;
  HDF5_LOCK;
  Quiet quiet;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_read(set < 0 ? -1 : 0, path_, path);
  Id file_space(H5Dget_space(set));
  hsize_t at = first, n = count;
  Id memory_space(H5Screate_simple(1, &n, nullptr));
  check_read(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &at, nullptr, &n, nullptr), path_, path);
  check_read(H5Dread(set, native(type), memory_space, file_space, H5P_DEFAULT, into), path_, path);
}

uint64_t Hdf5File::offset(const std::string& path, ArrayType type) const {
  HDF5_LOCK;
  Quiet quiet;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_read(set < 0 ? -1 : 0, path_, path);
  Id stored(H5Dget_type(set)), properties(H5Dget_create_plist(set));
  const haddr_t at = H5Dget_offset(set);
  if (H5Tequal(stored, native(type)) <= 0 || H5Pget_layout(properties) != H5D_CONTIGUOUS || H5Pget_external_count(properties) != 0 || at == HADDR_UNDEF)
    throw data_error("{}: '{}' is not stored as one stretch of values", path_.string(), path);
  return at;
}

void Hdf5File::read_all(const std::string& path, ArrayType type, void* into) const {
  HDF5_LOCK;
  Quiet quiet;
  Id set(H5Dopen2(id_, path.c_str(), H5P_DEFAULT));
  check_read(set < 0 ? -1 : 0, path_, path);
  check_read(H5Dread(set, native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, into), path_, path);
}

std::vector<std::string> Hdf5File::list(const std::string& group) const {
  HDF5_LOCK;
  Quiet quiet;
  Id g(H5Gopen2(id_, group.c_str(), H5P_DEFAULT));
  check_read(g < 0 ? -1 : 0, path_, group);
  std::vector<std::string> names;
  H5Ovisit1(
      g, H5_INDEX_NAME, H5_ITER_INC,
      [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
        if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names);
  std::sort(names.begin(), names.end());
  return names;
}

void Hdf5File::make_virtual(const std::string& path, ArrayType type, const std::vector<Source>& sources, int fill) {
  HDF5_LOCK;
  Quiet quiet;
  hsize_t total = 0;
  for (const auto& s : sources) total += s.length;
  Id space(H5Screate_simple(1, &total, nullptr)), create(H5Pcreate(H5P_DATASET_CREATE)), links(link_properties());
  H5Pset_fill_value(create, H5T_NATIVE_INT, &fill);
  std::string source_path;  // where it is a printf-like pattern
  for (char c : path) source_path += c == '%' ? "%%" : std::string(1, c);
  hsize_t at = 0;
  for (const auto& s : sources) {
    hsize_t n = s.length, zero = 0;
    if (n && s.present) {
      Id source_space(H5Screate_simple(1, &n, nullptr));
      H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, nullptr, &n, nullptr);
      H5Sselect_hyperslab(source_space, H5S_SELECT_SET, &zero, nullptr, &n, nullptr);
      check_write(H5Pset_virtual(create, space, s.file.c_str(), source_path.c_str(), source_space), path_, path);
    }
    at += n;
  }
  H5Sselect_all(space);
  Id set(H5Dcreate2(id_, path.c_str(), native(type), space, links, create, H5P_DEFAULT));
  check_write(set < 0 ? -1 : 0, path_, path);
}

}  // namespace throng::data
