#include "framework/data/column.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "framework/base/hash.h"

namespace throng::data {

uint64_t Column::num_bytes() const {
  return bytes_.size() + 8 * (offsets_.size() + string_offsets_.size()) + valid_.size();
}

void Column::fail_as_int64() const { throw bug("as_int64 of a {} column", type_name(type_)); }

void Column::append_valid(int64_t rows, std::span<const uint8_t> null) {
  if (!null.empty() || has_nulls()) {
    valid_.resize(size_t(rows_), 1);
    const size_t at = valid_.size();
    valid_.resize(at + size_t(rows), 1);
    for (size_t i = 0; i < null.size(); ++i) valid_[at + i] = !null[i];
  }
  rows_ += rows;
}

void Column::append_fixed(std::span<const std::byte> values, std::span<const uint8_t> null) {
  append_bytes(bytes_, values.data(), values.size());
  append_valid(int64_t(values.size() / value_bytes(type_)), null);
}

void Column::append_strings(std::span<const std::string_view> texts, std::span<const uint8_t> null) {
  size_t at = offsets_.size(), end = bytes_.size();
  offsets_.resize(at + texts.size());
  for (const auto& text : texts) offsets_[at++] = int64_t(end += text.size());
  const size_t before = bytes_.size();
  bytes_.resize(end);
  char* to = reinterpret_cast<char*>(bytes_.data()) + before;
  for (const auto& text : texts) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to += text.size();
  }
  append_valid(int64_t(texts.size()), null);
}

void Column::append_null() {
  make_valid();
  if (is_fixed(type_))
    bytes_.resize(bytes_.size() + value_bytes(type_), std::byte{0});
  else
    offsets_.push_back(offsets_.back());
  valid_.push_back(0);
  ++rows_;
}

void Column::set_null(int64_t row) {
  make_valid();
  valid_[size_t(row)] = 0;
  std::memset(bytes_.data() + size_t(row) * value_bytes(type_), 0, value_bytes(type_));
}

void Column::append_row(const Column& other, int64_t row) { append_slice(other, row, 1); }
void Column::append_all(const Column& other) { append_slice(other, 0, other.rows_); }

void Column::append_slice(const Column& other, int64_t first, int64_t count) {
  THRONG_CHECK(other.type_ == type_, "{} rows appended to a {} column", type_name(other.type_), type_name(type_));
  if (!valid_.empty() || other.has_nulls()) {
    valid_.resize(size_t(rows_), 1);  // also where this column is still empty
    if (other.has_nulls())
      valid_.append(other.valid_.data() + first, size_t(count));
    else
      valid_.resize(valid_.size() + size_t(count), 1);
  }
  rows_ += count;
  const size_t width = value_bytes(type_);
  auto copy_bytes = [&](int64_t begin, int64_t end) {
    append_bytes(bytes_, other.bytes_.data() + size_t(begin) * width, size_t(end - begin) * width);
  };
  if (is_fixed(type_)) return copy_bytes(first, first + count);

  auto append_offsets = [](AlignedVector<int64_t>& into, const AlignedVector<int64_t>& from, int64_t begin, int64_t n) {
    int64_t shift = into.back() - from[size_t(begin)];
    size_t at = into.size();
    into.resize(at + size_t(n));
    for (int64_t i = 0; i < n; ++i) into[at + size_t(i)] = from[size_t(begin + i + 1)] + shift;
  };
  int64_t begin = other.offsets_[size_t(first)], end = other.offsets_[size_t(first + count)];
  append_offsets(offsets_, other.offsets_, first, count);
  if (type_ == Type::kListString) {
    append_offsets(string_offsets_, other.string_offsets_, begin, end - begin);
    begin = other.string_offsets_[size_t(begin)], end = other.string_offsets_[size_t(end)];
  }
  copy_bytes(begin, end);
}

void Column::reserve_rows(int64_t rows) {
  if (is_fixed(type_))
    bytes_.reserve(size_t(rows) * value_bytes(type_));
  else
    offsets_.reserve(size_t(rows) + 1);
}

Column Column::zeros(Type type, int64_t rows) {
  THRONG_CHECK(is_fixed(type), "zeros of a {} column", type_name(type));
  Column c(type);
  c.rows_ = rows;
  c.bytes_.assign(size_t(rows) * value_bytes(type), std::byte{0});
  return c;
}

Column Column::take(std::span<const int64_t> rows) const {
  Column out(type_);
  out.reserve_rows(int64_t(rows.size()));
  auto take_valid = [&] {
    if (!has_nulls()) return;
    out.valid_.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) out.valid_[i] = valid_[size_t(rows[i])];
  };
  if (type_ == Type::kListString) {
    for (int64_t r : rows) out.append_slice(*this, r, 1);
    return out;
  }
  const size_t width = value_bytes(type_);
  if (!is_fixed(type_)) {
    out.offsets_.resize(rows.size() + 1);
    for (size_t i = 0; i < rows.size(); ++i) out.offsets_[i + 1] = out.offsets_[i] + list_size(rows[i]);
    out.bytes_.resize(size_t(out.offsets_.back()) * width);
    std::byte* to = out.bytes_.data();
    for (int64_t r : rows) {
      const size_t n = size_t(list_size(r)) * width;
      if (n) std::memcpy(to, bytes_.data() + size_t(offsets_[size_t(r)]) * width, n);
      to += n;
    }
    out.rows_ = int64_t(rows.size());
    take_valid();
    return out;
  }
  out.bytes_.resize(rows.size() * width);
  auto gather = [&]<class T>(T) {
    auto from = values<T>();
    T* to = reinterpret_cast<T*>(out.bytes_.data());
    for (size_t i = 0; i < rows.size(); ++i) to[i] = from[size_t(rows[i])];
  };
  if (width == 1) gather(uint8_t{});
  if (width == 4) gather(uint32_t{});
  if (width == 8) gather(uint64_t{});
  out.rows_ = int64_t(rows.size());
  take_valid();
  return out;
}

Column Column::elements() const {
  THRONG_CHECK(is_list(type_), "elements of a {} column", type_name(type_));
  Column out(type_ == Type::kListString ? Type::kString : type_ == Type::kListInt32 ? Type::kInt32 : Type::kFloat32);
  out.bytes_ = bytes_;
  if (type_ == Type::kListString) out.offsets_ = string_offsets_;
  out.rows_ = offsets_.back();
  return out;
}

namespace {
// Values that compare as equal have one representative: 0 for -0, one NaN for all.
template <class T>
T representative(T value) {
  return std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value + T(0);
}
}  // namespace

void Column::hash_rows(std::span<uint64_t> hashes, uint64_t seed) const {
  auto each = [&](auto bits_of) {  // bits_of(h, r): what row r's value makes of h
    if (has_nulls())
      for (int64_t r = 0; r < rows_; ++r) hashes[size_t(r)] = is_valid(r) ? bits_of(hashes[size_t(r)], r) : mix64(hashes[size_t(r)] ^ 0x6e756c6cull);
    else
      for (int64_t r = 0; r < rows_; ++r) hashes[size_t(r)] = bits_of(hashes[size_t(r)], r);
  };
  auto numbers = [&]<class T>(T) { each([v = values<T>()](uint64_t h, int64_t r) { return mix64(h ^ uint64_t(int64_t{v[size_t(r)]})); }); };
  switch (type_) {
    case Type::kBool: return numbers(uint8_t{});
    case Type::kInt32: return numbers(int32_t{});
    case Type::kInt64:
    case Type::kTimestamp: return numbers(int64_t{});
    case Type::kFloat32: return each([v = values<float>()](uint64_t h, int64_t r) { return mix64(h ^ std::bit_cast<uint32_t>(representative(v[size_t(r)]))); });
    case Type::kFloat64: return each([v = values<double>()](uint64_t h, int64_t r) { return mix64(h ^ std::bit_cast<uint64_t>(representative(v[size_t(r)]))); });
    case Type::kString: return each([&](uint64_t h, int64_t r) { return mix64(h ^ hash64(string(r), seed)); });
    case Type::kListInt32:
    case Type::kListFloat32:
      return each([&](uint64_t h, int64_t r) {
        const auto raw = std::as_bytes(list<uint32_t>(r));
        return mix64(h ^ hash64(raw.data(), raw.size(), seed));
      });
    case Type::kListString:
      return each([&](uint64_t h, int64_t r) {
        for (int64_t i = 0; i < list_size(r); ++i) h = mix64(h ^ hash64(list_string(r, i), seed));
        return mix64(h ^ uint64_t(list_size(r)));
      });
  }
}

uint64_t Column::content_hash() const {
  uint64_t h = mix64(uint64_t(type_) + 1) ^ uint64_t(rows_);
  h = hash64(bytes_.data(), bytes_.size(), h);
  h = hash64(offsets_.data(), offsets_.size() * 8, h);
  h = hash64(string_offsets_.data(), string_offsets_.size() * 8, h);
  bool nulls = std::find(valid_.begin(), valid_.end(), 0) != valid_.end();
  return nulls ? hash64(valid_.data(), valid_.size(), h) : h;
}

int Column::compare(const Column& a, int64_t i, const Column& b, int64_t j) {
  bool va = a.is_valid(i), vb = b.is_valid(j);
  if (!va || !vb) return int(va) - int(vb);
  auto three_way = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  switch (a.type_) {
    case Type::kString: return three_way(a.string(i).compare(b.string(j)), 0);
    case Type::kFloat32:
    case Type::kFloat64: {
      double x = a.as_double(i), y = b.as_double(j);
      if (std::isnan(x) || std::isnan(y)) return int(std::isnan(x)) - int(std::isnan(y));
      return three_way(x, y);
    }
    case Type::kListString: {
      int64_t n = std::min(a.list_size(i), b.list_size(j));
      for (int64_t k = 0; k < n; ++k)
        if (int c = three_way(a.list_string(i, k).compare(b.list_string(j, k)), 0)) return c;
      return three_way(a.list_size(i), b.list_size(j));
    }
    case Type::kListInt32: {
      auto x = a.list<int32_t>(i), y = b.list<int32_t>(j);
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end())   ? -1
             : std::lexicographical_compare(y.begin(), y.end(), x.begin(), x.end()) ? 1
                                                                                    : 0;
    }
    case Type::kListFloat32: {
      auto x = a.list<float>(i), y = b.list<float>(j);
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end())   ? -1
             : std::lexicographical_compare(y.begin(), y.end(), x.begin(), x.end()) ? 1
                                                                                    : 0;
    }
    default: return three_way(a.as_int64(i), b.as_int64(j));
  }
}

namespace {

// Adds the offsets of rows given as parts; a data error where the parts do not fit together.
void append_offsets(Type type, const Column::PartsView& parts, AlignedVector<int64_t>& offsets, AlignedVector<int64_t>& string_offsets) {
  auto sum_up = [](std::span<const std::byte> lengths, AlignedVector<int64_t>& into) {
    const size_t at = into.size(), n = lengths.size() / 4;
    into.resize(at + n);
    const int64_t start = into[at - 1];
    int64_t end = start;
    for (size_t i = 0; i < n; ++i) {
      uint32_t length = 0;
      std::memcpy(&length, lengths.data() + 4 * i, 4);
      into[at + i] = end += length;
    }
    return end - start;
  };
  const size_t width = value_bytes(type);
  int64_t expected = parts.rows;
  bool fits = parts.bytes.size() % width == 0 && (parts.valid.empty() || int64_t(parts.valid.size()) == parts.rows);
  if (!is_fixed(type)) {
    fits = fits && int64_t(parts.lengths.size() / 4) == expected;
    expected = sum_up(parts.lengths, offsets);
  }
  if (type == Type::kListString) {
    fits = fits && int64_t(parts.string_lengths.size() / 4) == expected;
    expected = sum_up(parts.string_lengths, string_offsets);
  }
  if (!fits || int64_t(parts.bytes.size() / width) != expected)
    throw data_error("a {} column of {} rows has {} values where {} were expected", type_name(type), parts.rows, parts.bytes.size() / width, expected);
}

}  // namespace

Column Column::from_parts(Type type, int64_t rows, Parts parts) {
  Column c(type);
  auto bytes_of = [](const auto& values) { return std::as_bytes(std::span(values)); };
  append_offsets(type, {rows, parts.bytes, bytes_of(parts.lengths), bytes_of(parts.string_lengths), bytes_of(parts.valid)}, c.offsets_, c.string_offsets_);
  c.rows_ = rows;
  c.bytes_ = std::move(parts.bytes);
  c.valid_ = std::move(parts.valid);
  return c;
}

void Column::append_parts(const PartsView& parts) {
  append_offsets(type_, parts, offsets_, string_offsets_);
  if (!parts.valid.empty()) {
    make_valid();
    const auto* valid = reinterpret_cast<const uint8_t*>(parts.valid.data());
    valid_.append(valid, parts.valid.size());
  } else if (!valid_.empty()) {
    valid_.resize(valid_.size() + size_t(parts.rows), 1);
  }
  append_bytes(bytes_, parts.bytes.data(), parts.bytes.size());
  rows_ += parts.rows;
}

}  // namespace throng::data
