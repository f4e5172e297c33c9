#include "framework/data/dataset.h"

#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/dataset_layout.h"
#include "framework/data/string_codes.h"

namespace throng::data {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr int kFormatVersion = 3;  // 2 had no codes, and reads as it did

constexpr const char* kDamagedHint = "the file was damaged after it was written; remove the dataset and run the step again";

json to_json(const ColumnPlace& c) {
  json j{c.first_value, c.num_values, c.first_string, c.num_strings, c.null_count, fmt::format("{:016x}", c.checksum), c.range.to_json()};
  if (c.codes) j.push_back({c.codes->first, c.codes->num_bytes, c.codes->dictionary_size, c.codes->dictionary_bytes});
  return j;
}
ColumnPlace column_from_json(const json& c) {
  ColumnPlace place{c.at(0), c.at(1), c.at(2), c.at(3), c.at(4), std::stoull(c.at(5).get<std::string>(), nullptr, 16), ColumnRange::from_json(c.at(6)), {}};
  if (c.size() > 7) place.codes = CodesPlace{c[7].at(0), c[7].at(1), c[7].at(2), c[7].at(3)};
  return place;
}

}  // namespace

int64_t PartitionPlace::num_rows() const {
  int64_t n = 0;
  for (const auto& p : pieces) n += p.num_rows;
  return n;
}
uint64_t PartitionPlace::num_bytes() const {
  uint64_t n = 0;
  for (const auto& p : pieces) n += p.num_bytes;
  return n;
}

int64_t Manifest::num_rows() const {
  int64_t n = 0;
  for (const auto& p : partitions) n += p.num_rows();
  return n;
}
uint64_t Manifest::num_bytes() const {
  uint64_t n = 0;
  for (const auto& p : partitions) n += p.num_bytes();
  return n;
}

std::string Manifest::content_hash() const {
  std::string text = schema.to_json();
  for (const auto& p : partitions) {
    text += "|";
    for (const auto& piece : p.pieces) {
      text += fmt::format("/{}", piece.num_rows);
      for (const auto& c : piece.columns) text += fmt::format(",{:016x}", c.checksum);
    }
  }
  return hash128_hex(text);
}

std::string Manifest::to_json() const {
  std::string parts;  // a line for each partition: a value a line would triple the text
  for (const auto& p : partitions) {
    json pieces = json::array();
    for (const auto& piece : p.pieces) {
      json columns = json::array();
      for (const auto& c : piece.columns) columns.push_back(data::to_json(c));
      pieces.push_back({{"file", piece.file}, {"first_row", piece.first_row}, {"rows", piece.num_rows}, {"bytes", piece.num_bytes}, {"columns", columns}});
    }
    parts += (parts.empty() ? "\n  " : ",\n  ") + pieces.dump();
  }
  json all{{"format", "throng dataset"}, {"version", kFormatVersion}, {"schema", json::parse(schema.to_json())}, {"rows", num_rows()},
           {"content_hash", content_hash()}, {"step_key", step_key}};
  if (gzip) all["compression"] = "gzip";
  std::string text = all.dump(1);
  text.resize(text.size() - 2);  // the closing line
  return text + ",\n \"partitions\": [" + parts + "\n ]\n}";
}

Manifest Manifest::from_json(const std::string& text) {
  json j = json::parse(text);
  const int version = j.at("version");
  if (version != 2 && version != kFormatVersion) throw data_error("dataset format version {}, this program reads 2 and {}", version, kFormatVersion);
  Manifest m;
  m.schema = Schema::from_json(j.at("schema").dump());
  m.step_key = j.at("step_key");
  m.gzip = j.contains("compression");
  for (const auto& pieces : j.at("partitions")) {
    PartitionPlace& place = m.partitions.emplace_back();
    for (const auto& p : pieces) {
      PiecePlace piece{p.at("file"), p.at("first_row"), p.at("rows"), p.at("bytes"), {}};
      for (const auto& c : p.at("columns")) piece.columns.push_back(column_from_json(c));
      if (piece.columns.size() != m.schema.size()) throw data_error("a piece has {} columns, the schema {}", piece.columns.size(), m.schema.size());
      for (size_t c = 0; version == 2 && c < m.schema.size(); ++c)
        if (m.schema[c].type == Type::kString) piece.columns[c].first_string = piece.first_row;  // it had a length for each row
      place.pieces.push_back(std::move(piece));
    }
  }
  if (m.content_hash() != j.at("content_hash")) throw data_error("content_hash does not match its partitions");
  return m;
}

// ---------------------------------------------------------------------------------------------------- reading

bool DatasetReader::exists(const fs::path& folder) { return fs::exists(folder / "manifest.json"); }

DatasetReader::DatasetReader(fs::path folder) : folder_(std::move(folder)) {
  if (!fs::exists(folder_)) throw data_error("{}: no such dataset", folder_.string());
  if (!exists(folder_))
    throw data_error("{}: has no manifest.json, so it is not a finished dataset", folder_.string())
        .with_hint("a run that was interrupted leaves such a folder; finish it with 'throng run JOB --resume'");
  try {
    manifest_ = Manifest::from_json(read_file(folder_ / "manifest.json"));
  } catch (const Error& e) {
    throw data_error("{}: {}", (folder_ / "manifest.json").string(), e.message());
  } catch (const std::exception& e) {
    throw data_error("{}: damaged manifest: {}", (folder_ / "manifest.json").string(), e.what());
  }
}

const Hdf5File& DatasetReader::file(const std::string& name) const {
  std::lock_guard lock(mutex_);
  auto it = files_.find(name);
  if (it == files_.end()) {
    if (!fs::exists(folder_ / name)) throw data_error("{}: part file '{}' is missing", folder_.string(), name);
    it = files_.emplace(name, Hdf5File::open(folder_ / name)).first;
  }
  return it->second;
}

Column DatasetReader::read_column(const Hdf5File& file, const PiecePlace& place, size_t column) const {
  const Field& f = manifest_.schema[column];
  const ColumnPlace& at = place.columns[column];
  const uint64_t rows = uint64_t(place.num_rows);
  auto read_lengths = [&](const std::string& path, uint64_t first, uint64_t count, std::vector<uint32_t>& into) {
    into.resize(count);
    file.read(path, ArrayType::kUInt32, first, count, into.data());
  };
  auto read_values = [&](const std::string& path, uint64_t first, uint64_t count, Buffer& into) {
    into.resize(count * value_bytes(f.type));
    file.read(path, path == value_path(f) ? value_array(f.type) : ArrayType::kUInt8, first, count, into.data());
  };
  AlignedVector<uint8_t> valid;
  if (at.null_count > 0) {
    valid.resize(rows);
    file.read(valid_path(f), ArrayType::kUInt8, place.first_row, rows, valid.data());
  }
  StringCodes coded;
  Column::Parts parts;
  if (at.codes) {
    read_values(codes_path(f), at.codes->first, at.codes->num_bytes, coded.codes);
    read_lengths(length_path(f), at.first_string, at.codes->dictionary_size, coded.lengths);
    read_values(value_path(f), at.first_value, at.codes->dictionary_bytes, coded.bytes);
  } else {
    read_values(value_path(f), at.first_value, at.num_values, parts.bytes);
    if (!is_fixed(f.type)) read_lengths(length_path(f), f.type == Type::kString ? at.first_string : place.first_row, rows, parts.lengths);
    if (f.type == Type::kListString) read_lengths(string_length_path(f), at.first_string, at.num_strings, parts.string_lengths);
    parts.valid = std::move(valid);
  }
  std::optional<Column> c;
  try {
    c = at.codes ? decode_strings(place.num_rows, coded, std::move(valid)) : Column::from_parts(f.type, place.num_rows, std::move(parts));
  } catch (const Error& e) {  // what does not fit does not know its file
    throw data_error("{}: column '{}' of a partition: {}", (folder_ / place.file).string(), f.name, e.message()).with_hint(kDamagedHint);
  }
  if (c->content_hash() != at.checksum)
    throw data_error("{}: column '{}' of a partition does not match its checksum", (folder_ / place.file).string(), f.name).with_hint(kDamagedHint);
  return std::move(*c);
}

Batch DatasetReader::read_piece(int64_t partition, size_t piece, const std::vector<std::string>& columns) const {
  const auto& pieces = manifest_.partitions.at(size_t(partition)).pieces;
  const PiecePlace& place = pieces.at(piece);
  std::vector<Field> fields;
  std::vector<ColumnPtr> read_columns;
  for (size_t c = 0; c < manifest_.schema.size(); ++c) {
    const Field& f = manifest_.schema[c];
    if (!columns.empty() && std::find(columns.begin(), columns.end(), f.name) == columns.end()) continue;
    fields.push_back(f);
    read_columns.push_back(std::make_shared<Column>(read_column(file(place.file), place, c)));
  }
  int64_t first_row = 0;
  for (size_t k = 0; k < piece; ++k) first_row += pieces[k].num_rows;
  return Batch(std::make_shared<Schema>(std::move(fields)), std::move(read_columns), {partition, first_row});
}

Batch DatasetReader::read(int64_t partition, const std::vector<std::string>& columns) const {
  const size_t pieces = manifest_.partitions.at(size_t(partition)).pieces.size();
  if (pieces == 1) return read_piece(partition, 0, columns);
  std::vector<Batch> parts;
  for (size_t k = 0; k < pieces; ++k) parts.push_back(read_piece(partition, k, columns));
  Batch all = Batch::concat(columns.empty() ? schema() : schema().project(columns), parts);
  all.origin = {partition, 0};
  return all;
}

Batch DatasetReader::read_all(const std::vector<std::string>& columns) const {
  std::vector<Batch> parts;
  for (int64_t p = 0; p < num_partitions(); ++p) parts.push_back(read(p, columns));
  return Batch::concat(columns.empty() ? schema() : schema().project(columns), parts);
}

}  // namespace throng::data
