#include "framework/data/batch.h"

#include <cstring>

#include "framework/base/hash.h"
#include "framework/base/suggest.h"

namespace throng::data {

Batch::Batch(std::shared_ptr<const Schema> schema, std::vector<ColumnPtr> columns, Origin o)
    : origin(o), schema_(std::move(schema)), columns_(std::move(columns)) {
  THRONG_CHECK(columns_.size() == schema_->size(), "{} columns under a schema of {}", columns_.size(), schema_->size());
  rows_ = columns_.empty() ? 0 : columns_[0]->size();
  for (size_t i = 0; i < columns_.size(); ++i) {
    THRONG_CHECK(columns_[i]->size() == rows_, "column '{}' has {} rows, not {}", (*schema_)[i].name, columns_[i]->size(), rows_);
    THRONG_CHECK(columns_[i]->type() == (*schema_)[i].type, "column '{}' is {}, not {}", (*schema_)[i].name,
                 type_name(columns_[i]->type()), type_name((*schema_)[i].type));
  }
}

namespace {
std::vector<ColumnPtr> share(std::vector<Column> columns) {
  std::vector<ColumnPtr> shared;
  for (auto& c : columns) shared.push_back(std::make_shared<Column>(std::move(c)));
  return shared;
}
}  // namespace

Batch::Batch(Schema schema, std::vector<Column> columns, Origin o)
    : Batch(std::make_shared<Schema>(std::move(schema)), share(std::move(columns)), o) {}

Batch Batch::empty(const Schema& schema) {
  std::vector<Column> columns;
  for (const auto& f : schema.fields()) columns.emplace_back(f.type);
  return Batch(schema, std::move(columns));
}

const Column& Batch::column(std::string_view name) const {
  int i = schema_->find(name);
  if (i < 0) throw job_error("no column '{}'", name).with_hint(suggest(name, schema_->names()));
  return *columns_[size_t(i)];
}

uint64_t Batch::num_bytes() const {
  uint64_t n = 0;
  for (const auto& c : columns_) n += c->num_bytes();
  return n;
}

Batch Batch::with(Field field, Column column) const {
  auto schema = std::make_shared<Schema>(*schema_);
  auto columns = columns_;
  int i = schema->find(field.name);
  schema->set(std::move(field));
  auto shared = std::make_shared<Column>(std::move(column));
  if (i < 0)
    columns.push_back(std::move(shared));
  else
    columns[size_t(i)] = std::move(shared);
  return Batch(std::move(schema), std::move(columns), origin);
}

Batch Batch::project(const std::vector<std::string>& names) const {
  std::vector<Field> fields;
  std::vector<ColumnPtr> columns;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (std::find(names.begin(), names.end(), (*schema_)[i].name) == names.end()) continue;
    fields.push_back((*schema_)[i]);
    columns.push_back(columns_[i]);
  }
  int64_t rows = rows_;
  Batch out(std::make_shared<Schema>(std::move(fields)), std::move(columns), origin);
  out.rows_ = rows;
  return out;
}

Batch Batch::take(std::span<const int64_t> rows) const {
  std::vector<ColumnPtr> columns;
  for (const auto& c : columns_) columns.push_back(std::make_shared<Column>(c->take(rows)));
  Batch out(schema_, std::move(columns), origin);
  out.rows_ = int64_t(rows.size());
  return out;
}

Batch Batch::filter(std::span<const uint8_t> keep) const {
  std::vector<int64_t> rows;
  for (int64_t r = 0; r < rows_; ++r)
    if (keep[size_t(r)]) rows.push_back(r);
  return int64_t(rows.size()) == rows_ ? *this : take(rows);
}

Batch Batch::slice(int64_t first, int64_t count) const {
  std::vector<ColumnPtr> columns;
  for (const auto& c : columns_) {
    auto part = std::make_shared<Column>(c->type());
    part->append_slice(*c, first, count);
    columns.push_back(std::move(part));
  }
  Batch out(schema_, std::move(columns), {origin.partition, origin.first_row + first});
  out.rows_ = count;
  return out;
}

Batch Batch::concat(const Schema& schema, std::span<const Batch> parts) {
  if (parts.size() == 1) return parts[0];
  std::vector<Column> columns;
  for (size_t c = 0; c < schema.size(); ++c) {
    columns.emplace_back(schema[c].type);
    for (const auto& part : parts) columns.back().append_all(part.column(c));
  }
  return Batch(schema, std::move(columns), parts.empty() ? Origin{} : parts[0].origin);
}

std::vector<uint64_t> Batch::hash_rows(const std::vector<std::string>& names, uint64_t seed) const {
  std::vector<uint64_t> hashes(size_t(rows_), 0x7468726f6e67ull ^ seed);
  for (const auto& name : names) column(name).hash_rows(hashes, seed);
  return hashes;
}

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

void Batch::serialize(Buffer& into, std::span<const int64_t> rows) const {
  put_u64(into, uint64_t(rows.size()));
  put_u64(into, uint64_t(origin.partition));
  put_u64(into, uint64_t(origin.first_row));
  for (const auto& c : columns_) {
    if (!is_fixed(c->type())) {
      const Column chosen = c->take(rows);
      put_column(into, chosen);
      continue;
    }
    auto gather = [&]<class T>(T) {
      put_u64(into, rows.size() * sizeof(T));
      const size_t at = into.size();
      into.resize(at + rows.size() * sizeof(T));
      auto values = c->values<T>();
      std::byte* to = into.data() + at;
      for (int64_t r : rows) std::memcpy(to, &values[size_t(r)], sizeof(T)), to += sizeof(T);
    };
    if (value_bytes(c->type()) == 1) gather(uint8_t{});
    if (value_bytes(c->type()) == 4) gather(uint32_t{});
    if (value_bytes(c->type()) == 8) gather(uint64_t{});
    put_u64(into, 0);
    put_u64(into, 0);
    put_u64(into, c->has_nulls() ? rows.size() : 0);
    if (c->has_nulls())
      for (int64_t r : rows) into.push_back(std::byte{c->valid()[size_t(r)]});
  }
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
