#include "framework/data/batch.h"

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

}  // namespace throng::data
