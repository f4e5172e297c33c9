// Where the values of a column lie in an HDF5 file of a dataset. Internal to framework/data.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/error.h"
#include "framework/data/column.h"
#include "framework/data/hdf5_file.h"
#include "framework/data/schema.h"

namespace throng::data {

inline ArrayType value_array(Type type) {
  switch (type) {
    case Type::kBool:
    case Type::kString:
    case Type::kListString: return ArrayType::kUInt8;
    case Type::kInt32:
    case Type::kListInt32: return ArrayType::kInt32;
    case Type::kFloat32:
    case Type::kListFloat32: return ArrayType::kFloat32;
    case Type::kFloat64: return ArrayType::kFloat64;
    default: return ArrayType::kInt64;
  }
}

// The name of a column as one HDF5 link: %2F for a slash, %2E where a dot would mean a place or a validity array.
inline std::string link_name(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    std::string_view rest = std::string_view(name).substr(i);
    bool escape_like = rest.starts_with("%2F") || rest.starts_with("%2E") || rest.starts_with("%25");
    bool bad_dot = rest == ".valid" || (i == 0 && (rest == "." || rest == ".."));
    out += rest[0] == '/' ? "%2F" : escape_like ? "%25" : bad_dot ? "%2E" : std::string(1, rest[0]);
  }
  return out;
}

// The HDF5 paths of a column: fixed types are one dataset, the others a group.
inline std::string value_path(const Field& f) {
  if (is_fixed(f.type)) return "/" + link_name(f.name);
  return "/" + link_name(f.name) + (f.type == Type::kString || f.type == Type::kListString ? "/bytes" : "/values");
}
inline std::string length_path(const Field& f) { return "/" + link_name(f.name) + (f.type == Type::kListString ? "/counts" : "/lengths"); }
inline std::string string_length_path(const Field& f) { return "/" + link_name(f.name) + "/lengths"; }
inline std::string valid_path(const Field& f) { return "/" + link_name(f.name) + (is_fixed(f.type) ? ".valid" : "/valid"); }

// Strings of which some pieces are codes: the codes, and for each piece its rows and how many strings `lengths` and `bytes` hold of it.
inline std::string codes_path(const Field& f) { return "/" + link_name(f.name) + "/codes"; }
inline std::string piece_rows_path(const Field& f) { return "/" + link_name(f.name) + "/piece_rows"; }
inline std::string piece_strings_path(const Field& f) { return "/" + link_name(f.name) + "/piece_strings"; }

inline std::vector<uint32_t> lengths_of(const AlignedVector<int64_t>& offsets) {
  std::vector<uint32_t> lengths(offsets.size() - 1);
  for (size_t i = 0; i < lengths.size(); ++i) {
    int64_t n = offsets[i + 1] - offsets[i];
    if (n > int64_t{UINT32_MAX}) throw data_error("a value of {} bytes is too long; the limit is 4 GiB", n);
    lengths[i] = uint32_t(n);
  }
  return lengths;
}

}  // namespace throng::data
