// Some rows of a partition in memory: what flows between operators.
#pragma once
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "framework/data/column.h"

namespace throng::data {

/// Where a batch's rows come from: row i is row `first_row + i` of `partition` as long as no row was dropped.
struct Origin {
  int64_t partition = 0;
  int64_t first_row = 0;
};

/// Columns of equal length under one schema. Columns are shared and immutable, so copies are cheap.
class Batch {
 public:
  Batch() : schema_(std::make_shared<Schema>()) {}
  explicit Batch(std::shared_ptr<const Schema> schema, std::vector<ColumnPtr> columns, Origin origin = {});
  Batch(Schema schema, std::vector<Column> columns, Origin origin = {});
  /// A batch without rows.
  static Batch empty(const Schema& schema);

  const Schema& schema() const { return *schema_; }
  const std::shared_ptr<const Schema>& schema_ptr() const { return schema_; }
  int64_t num_rows() const { return rows_; }
  size_t num_columns() const { return columns_.size(); }
  const Column& column(size_t i) const { return *columns_[i]; }
  /// The column of that name; a job error where there is none.
  const Column& column(std::string_view name) const;
  ColumnPtr column_ptr(size_t i) const { return columns_[i]; }
  const std::vector<ColumnPtr>& columns() const { return columns_; }
  uint64_t num_bytes() const;
  Origin origin;

  /// With a column added, or replaced where the name exists.
  Batch with(Field field, Column column) const;
  /// Only the named columns, in the schema's order.
  Batch project(const std::vector<std::string>& names) const;
  Batch take(std::span<const int64_t> rows) const;
  /// Rows where keep[row] is not 0.
  Batch filter(std::span<const uint8_t> keep) const;
  Batch slice(int64_t first, int64_t count) const;
  /// All rows of the parts in order; `parts` may be empty.
  static Batch concat(const Schema& schema, std::span<const Batch> parts);
  /// Hash per row over the named columns.
  std::vector<uint64_t> hash_rows(const std::vector<std::string>& names, uint64_t seed = 0) const;

  /// The wire and spill form; `deserialize` throws a data error on damage.
  void serialize(Buffer& into) const;
  /// The rows that go to each of num_targets places, in their order: row r goes to target[r]. A buffer without bytes where none does.
  std::vector<Buffer> serialize_by(std::span<const uint32_t> target, size_t num_targets) const;
  static Origin origin_of(std::span<const std::byte> serialized);
  static Batch deserialize(std::span<const std::byte> bytes, std::shared_ptr<const Schema> schema);
  /// The rows of several in one batch.
  static Batch deserialize(std::span<const Buffer> blocks, std::shared_ptr<const Schema> schema);

 private:
  std::shared_ptr<const Schema> schema_;
  std::vector<ColumnPtr> columns_;
  int64_t rows_ = 0;
};

}  // namespace throng::data
