// What the files of the HDF5 door share: ids, errors. Internal to framework/data.
#pragma once
#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <string>

#include "framework/base/error.h"
#include "framework/data/hdf5_file.h"
#include "framework/data/hdf5_lock.h"

namespace throng::data::hdf5 {

#define HDF5_LOCK std::lock_guard hdf5_guard(::throng::data::lock_of_hdf5())

inline hid_t native(ArrayType type) {
  switch (type) {
    case ArrayType::kUInt8: return H5T_NATIVE_UINT8;
    case ArrayType::kInt32: return H5T_NATIVE_INT32;
    case ArrayType::kUInt32: return H5T_NATIVE_UINT32;
    case ArrayType::kInt64: return H5T_NATIVE_INT64;
    case ArrayType::kFloat32: return H5T_NATIVE_FLOAT;
    case ArrayType::kFloat64: return H5T_NATIVE_DOUBLE;
  }
  return -1;
}

// Closes an HDF5 id of any kind.
struct Id {
  hid_t id;
  explicit Id(hid_t i) : id(i) {}
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() {
    if (id >= 0) H5Idec_ref(id);
  }
  operator hid_t() const { return id; }  // NOLINT: ids are passed on to HDF5 as they are
};

// The innermost line of HDF5's error stack, which holds the reason.
inline std::string reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
        if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
        return 0;
      },
      &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "unknown HDF5 error" : text;
}

inline void check_write(herr_t code, const std::filesystem::path& file, const std::string& path) {
  if (code < 0) throw system_error("{}: writing '{}' failed: {}", file.string(), path, reason());
}
inline void check_read(herr_t code, const std::filesystem::path& file, const std::string& path) {
  if (code < 0) throw data_error("{}: '{}' cannot be read: {}", file.string(), path, reason());
}

struct Quiet {
  Quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }
};

inline Id link_properties() {
  Id list(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(list, 1);
  return Id(H5Pcopy(list));
}

inline void write_attribute(hid_t file, const std::filesystem::path& file_path, const std::string& path, const std::string& name, const std::string& value) {
  Id object(H5Oopen(file, path.c_str(), H5P_DEFAULT)), space(H5Screate(H5S_SCALAR)), text(H5Tcopy(H5T_C_S1));
  H5Tset_size(text, std::max<size_t>(1, value.size()));
  H5Tset_cset(text, H5T_CSET_UTF8);
  Id attribute(H5Acreate2(object, name.c_str(), text, space, H5P_DEFAULT, H5P_DEFAULT));
  std::string padded = value.empty() ? std::string(1, '\0') : value;
  check_write(attribute < 0 ? -1 : H5Awrite(attribute, text, padded.data()), file_path, path + "@" + name);
}

}  // namespace throng::data::hdf5
