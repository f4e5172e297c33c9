// Columns of many records at once, where their fields have the usual forms. Internal to read_events.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/data/column.h"
#include "operators/read_events/field_values.h"
#include "operators/read_events/record_format.h"

namespace throng::op {

/// Fields of up to kMostRecords records, read column by column. Not shared by threads.
class FieldBlock {
 public:
  static constexpr size_t kMostRecords = 1024;

  /// `columns` as FieldBlock is to give them; all must be known to `reads`.
  FieldBlock(const FieldValues& values, const std::vector<ColumnSource>& columns);
  /// False for types that it does not read.
  static bool reads(const ColumnSource& column) { return !data::is_list(column.field.type); }

  /// Forgets all records.
  void clear() { num_records_ = 0; }
  /// Begins a record: `field(index)` is the text of its field.
  template <class Field>
  void add(Field field) {
    for (auto& c : columns_) c.texts[num_records_] = c.index < 0 ? c.constant : field(size_t(c.index));
    ++num_records_;
  }
  size_t size() const { return num_records_; }
  bool full() const { return num_records_ == kMostRecords; }

  /// Reads all records that were added.
  void read();
  /// After `read`: false where a field has another form, or is bad.
  bool is_read(size_t record) const { return !unsure_[record]; }
  /// Appends records [begin, end), all of which were read, to a column of the output.
  void append(size_t column, size_t begin, size_t end, data::Column& to) const;

 private:
  struct Column {
    data::Type type;
    bool needs_value;  // a row without it is bad
    int index;
    std::string_view constant;
    std::vector<std::string_view> texts;
    Buffer values;
    AlignedVector<uint8_t> null;
    bool has_nulls = false;
  };
  template <class T, class Read>
  void read_values(Column& column, Read read);

  const FieldValues& values_;
  std::vector<Column> columns_;
  AlignedVector<uint8_t> unsure_;
  size_t num_records_ = 0;
};

}  // namespace throng::op
