// One column of a batch: contiguous values, offsets for strings and lists, an optional validity byte per row.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/base/error.h"
#include "framework/data/schema.h"

namespace throng::data {

/// Values of one type. A null row holds zero (or an empty string or list), so that equal columns have equal bytes.
/// Not thread-safe while it is appended to.
class Column {
 public:
  explicit Column(Type type) : type_(type) {
    if (!is_fixed(type)) offsets_.push_back(0);
    if (type == Type::kListString) string_offsets_.push_back(0);
  }

  Type type() const { return type_; }
  int64_t size() const { return rows_; }
  bool has_nulls() const { return !valid_.empty(); }
  bool is_valid(int64_t row) const { return valid_.empty() || valid_[size_t(row)]; }
  uint64_t num_bytes() const;

  /// The fixed-size values (T must be the storage type: uint8_t for bool, int64_t for timestamp).
  template <class T>
  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  template <class T>
  std::span<T> mutable_values() {
    return {reinterpret_cast<T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  std::string_view string(int64_t row) const {
    return chars(offsets_[size_t(row)], offsets_[size_t(row) + 1]);
  }
  /// The elements of a numeric list row.
  template <class T>
  std::span<const T> list(int64_t row) const {
    return values<T>().subspan(size_t(offsets_[size_t(row)]), size_t(list_size(row)));
  }
  int64_t list_size(int64_t row) const { return offsets_[size_t(row) + 1] - offsets_[size_t(row)]; }
  /// Element `i` of a list<string> row.
  std::string_view list_string(int64_t row, int64_t i) const {
    size_t e = size_t(offsets_[size_t(row)] + i);
    return chars(string_offsets_[e], string_offsets_[e + 1]);
  }
  /// A bool, int32, int64 or timestamp as int64; any number as double.
  int64_t as_int64(int64_t row) const {
    switch (type_) {
      case Type::kBool: return values<uint8_t>()[size_t(row)];
      case Type::kInt32: return values<int32_t>()[size_t(row)];
      case Type::kInt64:
      case Type::kTimestamp: return values<int64_t>()[size_t(row)];
      default: fail_as_int64();
    }
  }
  double as_double(int64_t row) const {
    if (type_ == Type::kFloat32) return double(values<float>()[size_t(row)]);
    if (type_ == Type::kFloat64) return values<double>()[size_t(row)];
    return double(as_int64(row));
  }

  template <class T>
  void append(T value) {
    size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    *reinterpret_cast<T*>(bytes_.data() + at) = value;
    count_valid();
  }
  void append_string(std::string_view text) {
    append_chars(text);
    offsets_.push_back(int64_t(bytes_.size()));
    count_valid();
  }
  template <class T>
  void append_list(std::span<const T> elements) {
    auto raw = std::as_bytes(elements);
    append_bytes(bytes_, raw.data(), raw.size());
    offsets_.push_back(int64_t(bytes_.size() / sizeof(T)));
    count_valid();
  }
  /// Adds an element to the list<string> row being built; `end_list` closes the row.
  void add_list_string(std::string_view text) {
    append_chars(text);
    string_offsets_.push_back(int64_t(bytes_.size()));
  }
  void end_list() {
    offsets_.push_back(int64_t(string_offsets_.size()) - 1);
    count_valid();
  }
  /// Rows of a fixed type at once, as their bytes. Where `null` is given, row i is null if null[i] is set; its value must be zero.
  void append_fixed(std::span<const std::byte> values, std::span<const uint8_t> null = {});
  /// Strings at once; a null one must be empty.
  void append_strings(std::span<const std::string_view> texts, std::span<const uint8_t> null = {});
  void append_null();
  void append_row(const Column& other, int64_t row);
  void append_all(const Column& other);
  void append_slice(const Column& other, int64_t first, int64_t count);
  void set_null(int64_t row);  ///< fixed types only
  void reserve_rows(int64_t rows);
  /// `rows` zero values of a fixed type, to be filled through mutable_values.
  static Column zeros(Type type, int64_t rows);

  /// The rows named, in that order.
  Column take(std::span<const int64_t> rows) const;
  /// The elements of a list column's rows, one after the other.
  Column elements() const;
  /// Mixes each row's value into hashes[row]; equal values of equal types hash alike everywhere.
  void hash_rows(std::span<uint64_t> hashes, uint64_t seed = 0) const;
  /// Hash of the whole column, independent of how it was cut into batches.
  uint64_t content_hash() const;
  /// Less than, equal to or greater than zero; nulls come first, NaN last; types must be equal.
  static int compare(const Column& a, int64_t i, const Column& b, int64_t j);

  /// Raw parts, for stores and the wire.
  const Buffer& bytes() const { return bytes_; }
  const AlignedVector<int64_t>& offsets() const { return offsets_; }
  const AlignedVector<int64_t>& string_offsets() const { return string_offsets_; }
  const AlignedVector<uint8_t>& valid() const { return valid_; }
  struct Parts {
    Buffer bytes;
    std::vector<uint32_t> lengths, string_lengths;
    AlignedVector<uint8_t> valid;
  };
  /// Builds a column from parts; a data error where they do not fit together.
  static Column from_parts(Type type, int64_t rows, Parts parts);
  /// The same parts as raw bytes: lengths are uint32, at any alignment.
  struct PartsView {
    int64_t rows = 0;
    std::span<const std::byte> bytes, lengths, string_lengths, valid;
  };
  /// Adds rows given as parts; a data error where they do not fit together.
  void append_parts(const PartsView& parts);

 private:
  [[noreturn]] void fail_as_int64() const;
  std::string_view chars(int64_t begin, int64_t end) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + begin, size_t(end - begin)};
  }
  void append_chars(std::string_view text) { append_bytes(bytes_, text.data(), text.size()); }
  void count_valid() {
    ++rows_;
    if (!valid_.empty()) valid_.push_back(1);
  }
  void append_valid(int64_t rows, std::span<const uint8_t> null);
  void make_valid() {
    if (valid_.empty()) valid_.assign(size_t(rows_), 1);
  }

  Type type_;
  int64_t rows_ = 0;
  Buffer bytes_;
  AlignedVector<int64_t> offsets_;         // rows + 1: into chars (string) or elements (lists)
  AlignedVector<int64_t> string_offsets_;  // elements + 1, into chars (list<string>)
  AlignedVector<uint8_t> valid_;           // empty: all valid
};

using ColumnPtr = std::shared_ptr<const Column>;

}  // namespace throng::data
