// The wire and spill form of batches.
#include <cstring>

#include "framework/data/batch.h"
#include "framework/data/trailer_room.h"

namespace throng::data {
namespace {

void put_u64(Buffer& into, uint64_t v) { append_bytes(into, &v, sizeof v); }

void put_lengths(Buffer& into, const AlignedVector<int64_t>& offsets) {
  size_t n = offsets.empty() ? 0 : offsets.size() - 1;
  put_u64(into, n);
  size_t at = into.size();
  into.resize(at + n * 4);
  for (size_t i = 0; i < n; ++i) {
    int64_t length = offsets[i + 1] - offsets[i];
    THRONG_CHECK(length <= int64_t{UINT32_MAX}, "a value of {} bytes", length);
    uint32_t narrow = uint32_t(length);
    std::memcpy(into.data() + at + i * 4, &narrow, 4);
  }
}

struct Source {
  std::span<const std::byte> bytes;
  uint64_t u64() {
    uint64_t v = 0;
    if (sizeof v > bytes.size()) throw data_error("a serialised batch is cut short: {} bytes left of {}", bytes.size(), sizeof v);
    std::memcpy(&v, bytes.data(), sizeof v);
    bytes = bytes.subspan(sizeof v);
    return v;
  }
  std::span<const std::byte> array(size_t width) {
    const uint64_t n = u64();
    if (n > bytes.size() / width) throw data_error("a serialised batch is cut short: {} values in {} bytes", n, bytes.size());
    auto part = bytes.first(size_t(n) * width);
    bytes = bytes.subspan(part.size());
    return part;
  }
};

void put_column(Buffer& into, const Column& c) {
  put_u64(into, c.bytes().size());
  append_bytes(into, c.bytes().data(), c.bytes().size());
  put_lengths(into, c.offsets());
  put_lengths(into, c.string_offsets());
  put_u64(into, c.valid().size());
  append_bytes(into, c.valid().data(), c.valid().size());
}

// Writes rows to the buffers of their targets, column by column: it reads in order, and writes at as many places as there are targets.
class Scatter {
 public:
  Scatter(const Batch& batch, std::span<const uint32_t> target, size_t num_targets) : target_(target), rows_(num_targets), to_(num_targets), out_(num_targets) {
    for (uint32_t t : target) ++rows_[t];
    for (uint32_t t = 0; t < num_targets; ++t)
      if (rows_[t] > 0) used_.push_back(t);
    std::vector<uint64_t> sizes(num_targets, 3 * 8);
    for (const auto& c : batch.columns()) add_sizes(*c, sizes);
    for (uint32_t t : used_) {
      out_[t].reserve(sizes[t] + kTrailerRoom);
      for (uint64_t v : {rows_[t], uint64_t(batch.origin.partition), uint64_t(batch.origin.first_row)}) put_u64(out_[t], v);
    }
  }
  void put(const Column& c) {
    put_values(c);
    if (is_fixed(c.type())) open([](uint32_t) { return 0; }, 4);
    else open([&](uint32_t t) { return rows_[t]; }, 4), put_each([&](size_t r) { return narrow(c.list_size(int64_t(r))); });
    put_string_lengths(c);
    open([&](uint32_t t) { return c.has_nulls() ? rows_[t] : 0; }, 1);
    if (c.has_nulls()) put_each([valid = c.valid().data()](size_t r) { return valid[r]; });
  }
  std::vector<Buffer> take() { return std::move(out_); }

 private:
  // Which of the values (and of the strings of a list) are a row's.
  static std::pair<int64_t, int64_t> extent(const Column& c, size_t r) {
    const int64_t first = c.offsets()[r], end = c.offsets()[r + 1];
    if (c.type() != Type::kListString) return {first, end};
    return {c.string_offsets()[size_t(first)], c.string_offsets()[size_t(end)]};
  }
  static uint32_t narrow(int64_t length) {
    THRONG_CHECK(length <= int64_t{UINT32_MAX}, "a value of {} bytes", length);
    return uint32_t(length);
  }
  // Bytes of values, and numbers of strings in lists, by target.
  std::vector<uint64_t> value_sizes(const Column& c) const {
    const uint64_t width = value_bytes(c.type());
    std::vector<uint64_t> sizes(rows_.size());
    for (uint32_t t : used_) sizes[t] = is_fixed(c.type()) ? rows_[t] * width : 0;
    for (size_t r = 0; !is_fixed(c.type()) && r < target_.size(); ++r) {
      const auto [first, end] = extent(c, r);
      sizes[target_[r]] += uint64_t(end - first) * width;
    }
    return sizes;
  }
  std::vector<uint64_t> string_counts(const Column& c) const {
    std::vector<uint64_t> counts(rows_.size());
    for (size_t r = 0; c.type() == Type::kListString && r < target_.size(); ++r) counts[target_[r]] += uint64_t(c.list_size(int64_t(r)));
    return counts;
  }
  void add_sizes(const Column& c, std::vector<uint64_t>& sizes) const {
    const auto values = value_sizes(c), strings = string_counts(c);
    for (uint32_t t : used_) sizes[t] += 4 * 8 + values[t] + 4 * strings[t] + rows_[t] * (is_fixed(c.type()) ? 0 : 4) + (c.has_nulls() ? rows_[t] : 0);
  }

  // Begins an array of count(t) values in each buffer.
  template <class Count>
  void open(const Count& count, size_t width) {
    for (uint32_t t : used_) {
      const uint64_t n = count(t);
      put_u64(out_[t], n);
      const size_t at = out_[t].size();
      out_[t].resize(at + n * width);
      to_[t] = out_[t].data() + at;
    }
  }
  // value(r) of each row to where its target's array goes on.
  template <class Value>
  void put_each(const Value& value) {
    const uint32_t* target = target_.data();
    std::byte** to = to_.data();
    for (size_t r = 0, n = target_.size(); r < n; ++r) {
      const auto v = value(r);
      std::byte*& at = to[target[r]];
      std::memcpy(at, &v, sizeof v);
      at += sizeof v;
    }
  }
  void put_values(const Column& c) {
    const auto sizes = value_sizes(c);
    open([&](uint32_t t) { return sizes[t]; }, 1);
    const size_t width = value_bytes(c.type());
    if (is_fixed(c.type())) {
      if (width == 1) put_each([v = c.values<uint8_t>().data()](size_t r) { return v[r]; });
      if (width == 4) put_each([v = c.values<uint32_t>().data()](size_t r) { return v[r]; });
      if (width == 8) put_each([v = c.values<uint64_t>().data()](size_t r) { return v[r]; });
      return;
    }
    for (size_t r = 0; r < target_.size(); ++r) {
      const auto [first, end] = extent(c, r);
      const size_t bytes = size_t(end - first) * width;
      std::byte*& at = to_[target_[r]];
      if (bytes > 0) std::memcpy(at, c.bytes().data() + size_t(first) * width, bytes);
      at += bytes;
    }
  }
  void put_string_lengths(const Column& c) {
    const auto counts = string_counts(c);
    open([&](uint32_t t) { return counts[t]; }, 4);
    if (c.type() != Type::kListString) return;
    for (size_t r = 0; r < target_.size(); ++r)
      for (int64_t i = 0; i < c.list_size(int64_t(r)); ++i) {
        const uint32_t length = narrow(int64_t(c.list_string(int64_t(r), i).size()));
        std::memcpy(to_[target_[r]], &length, 4);
        to_[target_[r]] += 4;
      }
  }

  std::span<const uint32_t> target_;
  std::vector<uint64_t> rows_;     // by target
  std::vector<uint32_t> used_;     // targets that get rows
  std::vector<std::byte*> to_;     // where the array at hand goes on, by target
  std::vector<Buffer> out_;
};

Column::PartsView read_parts(Source& in, int64_t rows) {
  Column::PartsView parts;
  parts.rows = rows;
  parts.bytes = in.array(1);
  parts.lengths = in.array(4);
  parts.string_lengths = in.array(4);
  parts.valid = in.array(1);
  return parts;
}

}  // namespace

void Batch::serialize(Buffer& into) const {
  put_u64(into, uint64_t(rows_));
  put_u64(into, uint64_t(origin.partition));
  put_u64(into, uint64_t(origin.first_row));
  for (const auto& c : columns_) put_column(into, *c);
}

std::vector<Buffer> Batch::serialize_by(std::span<const uint32_t> target, size_t num_targets) const {
  Scatter scatter(*this, target, num_targets);
  for (const auto& c : columns_) scatter.put(*c);
  return scatter.take();
}

Origin Batch::origin_of(std::span<const std::byte> serialized) {
  Source in{serialized};
  in.u64();
  const int64_t partition = int64_t(in.u64());
  return {partition, int64_t(in.u64())};
}

namespace {

// The columns of some blocks, one after the other, and how many rows they have.
std::pair<std::vector<ColumnPtr>, int64_t> read_blocks(std::span<const std::span<const std::byte>> blocks, const Schema& schema) {
  std::vector<Source> sources;
  std::vector<int64_t> rows;
  int64_t total = 0;
  for (const auto& block : blocks) {
    Source& in = sources.emplace_back(Source{block});
    rows.push_back(int64_t(in.u64()));
    total += rows.back();
    in.u64(), in.u64();
  }
  std::vector<ColumnPtr> columns;
  for (const auto& field : schema.fields()) {
    auto column = std::make_shared<Column>(field.type);
    if (sources.size() > 1) column->reserve_rows(total);  // one is added at once
    for (size_t i = 0; i < sources.size(); ++i) column->append_parts(read_parts(sources[i], rows[i]));
    columns.push_back(std::move(column));
  }
  return {std::move(columns), total};
}

}  // namespace

Batch Batch::deserialize(std::span<const std::byte> bytes, std::shared_ptr<const Schema> schema) {
  auto [columns, rows] = read_blocks({&bytes, 1}, *schema);
  Batch out(std::move(schema), std::move(columns), origin_of(bytes));
  out.rows_ = rows;
  return out;
}

Batch Batch::deserialize(std::span<const Buffer> blocks, std::shared_ptr<const Schema> schema) {
  auto [columns, rows] = read_blocks(std::vector<std::span<const std::byte>>(blocks.begin(), blocks.end()), *schema);
  Batch out(std::move(schema), std::move(columns));
  out.rows_ = rows;
  return out;
}

}  // namespace throng::data
