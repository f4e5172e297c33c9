// Named arrays in one HDF5 file: learned state, checkpoints. Written by one rank, read by any.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace throng::data {

/// An array of floats, doubles or whole numbers, row-major.
struct Array {
  std::vector<uint64_t> shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<int64_t>> values;
};

/// Arrays by name, with texts beside them (vocabularies, settings as JSON).
struct ArrayStore {
  std::map<std::string, Array> arrays;
  std::map<std::string, std::string> texts;

  void put(const std::string& name, std::vector<float> values, std::vector<uint64_t> shape = {});
  void put(const std::string& name, std::vector<double> values, std::vector<uint64_t> shape = {});
  void put(const std::string& name, std::vector<int64_t> values, std::vector<uint64_t> shape = {});
  /// A data error where there is no such array, or it has another type.
  const std::vector<float>& floats(const std::string& name) const;
  const std::vector<double>& doubles(const std::string& name) const;
  const std::vector<int64_t>& integers(const std::string& name) const;
  /// Texts of many strings, joined by line breaks.
  void put_strings(const std::string& name, const std::vector<std::string>& strings);
  std::vector<std::string> strings(const std::string& name) const;

  /// Writes beside and renames: readers see the old file or the new one.
  void save(const std::filesystem::path& path) const;
  static ArrayStore load(const std::filesystem::path& path);
  /// Hash of names, shapes and values; the same for equal stores, whatever wrote them.
  std::string content_hash() const;
};

}  // namespace throng::data
