#include "framework/data/part_file.h"

#include <algorithm>

#include "framework/base/files.h"
#include "framework/data/dataset_layout.h"
#include "framework/data/string_codes.h"

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
    ColumnPlace at{ends.values, c.bytes().size() / value_bytes(f.type), ends.strings, 0, nulls, c.content_hash(), {}, {}};
    if (f.type == Type::kString) {
      append_strings(f, c, ends, at);
    } else {
      at.range = ColumnRange::of(c);
      arrays_.append(value_path(f), c.bytes().data(), at.num_values);
      ends.values += at.num_values;
    }
    if (is_list(f.type)) {
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

void PartFile::append_strings(const Field& f, const Column& c, Ends& ends, ColumnPlace& at) {
  auto append = [&](const Buffer& bytes, const std::vector<uint32_t>& lengths) {
    arrays_.append(value_path(f), bytes.data(), bytes.size());
    arrays_.append(length_path(f), lengths.data(), lengths.size());
    ends.values += bytes.size();
    ends.strings += lengths.size();
    ends.piece_rows.push_back(c.size());
    ends.piece_strings.push_back(int64_t(lengths.size()));
  };
  const auto coded = encode_strings(c);
  if (!coded || at.null_count > 0) at.range = ColumnRange::of(c);
  if (!coded) return append(c.bytes(), lengths_of(c.offsets()));
  if (at.null_count == 0) {  // each string of the dictionary is some row's
    Column::Parts dictionary{coded->bytes, coded->lengths, {}, {}};
    at.range = ColumnRange::of(Column::from_parts(Type::kString, int64_t(coded->lengths.size()), std::move(dictionary)));
  }
  at.codes = CodesPlace{ends.codes, coded->codes.size(), coded->lengths.size(), coded->bytes.size()};
  append(coded->bytes, coded->lengths);
  if (ends.codes == 0) arrays_.make(codes_path(f), ArrayType::kUInt8);
  arrays_.append(codes_path(f), coded->codes.data(), coded->codes.size());
  ends.codes += coded->codes.size();
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
  for (size_t i = 0; i < schema_.size(); ++i) {
    if (ends_[i].codes == 0) continue;
    for (const auto& [path, counts] : {std::pair(piece_rows_path(schema_[i]), &ends_[i].piece_rows), std::pair(piece_strings_path(schema_[i]), &ends_[i].piece_strings)}) {
      arrays_.make(path, ArrayType::kInt64);
      arrays_.append(path, counts->data(), counts->size());
    }
  }
  arrays_.close();
  fsync_path(path_);
}

}  // namespace throng::data
