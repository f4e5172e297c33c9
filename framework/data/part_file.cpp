#include "framework/data/part_file.h"

#include <algorithm>

#include "framework/base/files.h"
#include "framework/data/dataset_layout.h"

namespace throng::data {

PartFile::PartFile(const std::filesystem::path& folder, std::string name, Schema schema, const Storage& storage)
    : path_(folder / name), name_(std::move(name)), schema_(std::move(schema)), arrays_(path_, storage), ends_(schema_.size()) {
  for (const Field& f : schema_.fields()) {
    arrays_.make(value_path(f), value_array(f.type));
    if (!is_fixed(f.type)) arrays_.make(length_path(f), ArrayType::kUInt32);
    if (f.type == Type::kListString) arrays_.make(string_length_path(f), ArrayType::kUInt32);
  }
}

PiecePlace PartFile::append(const Batch& rows) {
  PiecePlace place{name_, rows_, rows.num_rows(), 0, {}};
  for (size_t i = 0; i < schema_.size(); ++i) {
    const Field& f = schema_[i];
    const Column& c = rows.column(i);
    THRONG_CHECK(c.type() == f.type && rows.schema()[i].name == f.name, "column '{}' ({}) written as '{}' ({})",
                 rows.schema()[i].name, type_name(c.type()), f.name, type_name(f.type));
    Ends& ends = ends_[i];
    const int64_t nulls = std::count(c.valid().begin(), c.valid().end(), 0);
    ColumnPlace at{ends.values, c.bytes().size() / value_bytes(f.type), ends.strings, 0, nulls, c.content_hash(), ColumnRange::of(c)};
    arrays_.append(value_path(f), c.bytes().data(), at.num_values);
    ends.values += at.num_values;
    if (!is_fixed(f.type)) {
      const auto lengths = lengths_of(c.offsets());
      arrays_.append(length_path(f), lengths.data(), lengths.size());
    }
    if (f.type == Type::kListString) {
      const auto lengths = lengths_of(c.string_offsets());
      arrays_.append(string_length_path(f), lengths.data(), lengths.size());
      ends.strings += at.num_strings = lengths.size();
    }
    append_validity(f, c, ends, nulls > 0);
    place.num_bytes += c.num_bytes();
    place.columns.push_back(at);
  }
  rows_ += uint64_t(rows.num_rows());
  arrays_.end_piece();
  return place;
}

void PartFile::append_validity(const Field& f, const Column& c, Ends& ends, bool nulls) {
  if (nulls && !ends.has_validity) {  // the first null of this file: the rows before it were valid
    ends.has_validity = true;
    arrays_.make(valid_path(f), ArrayType::kUInt8);
    const std::vector<uint8_t> ones(rows_, 1);
    arrays_.append(valid_path(f), ones.data(), ones.size());
  }
  if (!ends.has_validity) return;
  std::vector<uint8_t> valid(c.valid().begin(), c.valid().end());
  valid.resize(size_t(c.size()), 1);
  arrays_.append(valid_path(f), valid.data(), valid.size());
}

void PartFile::close() {
  arrays_.close();
  fsync_path(path_);
}

}  // namespace throng::data
