#include "framework/data/dataset.h"

#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/dataset_layout.h"

namespace throng::data {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr int kFormatVersion = 2;

// What `DatasetWriter::keep` has packed.
std::map<int64_t, PartitionPlace> places_from(const std::string& packed) {
  const json j = json::parse(packed);
  Manifest part = Manifest::from_json(j.at("manifest"));
  std::map<int64_t, PartitionPlace> places;
  for (size_t i = 0; i < part.partitions.size(); ++i) places[j.at("numbers")[i].get<int64_t>()] = std::move(part.partitions[i]);
  return places;
}

int64_t count_nulls(const Column& c) { return std::count(c.valid().begin(), c.valid().end(), 0); }

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
  json parts = json::array();
  for (const auto& p : partitions) {
    json pieces = json::array();
    for (const auto& piece : p.pieces) {
      json columns = json::array();
      for (const auto& c : piece.columns)
        columns.push_back({c.first_value, c.num_values, c.first_string, c.num_strings, c.null_count, fmt::format("{:016x}", c.checksum), c.range.to_json()});
      pieces.push_back({{"file", piece.file}, {"first_row", piece.first_row}, {"rows", piece.num_rows}, {"bytes", piece.num_bytes}, {"columns", columns}});
    }
    parts.push_back(pieces);
  }
  return json{{"format", "throng dataset"},       {"version", kFormatVersion},
              {"schema", json::parse(schema.to_json())}, {"rows", num_rows()},
              {"content_hash", content_hash()},   {"step_key", step_key},
              {"partitions", parts}}
      .dump(1);
}

Manifest Manifest::from_json(const std::string& text) {
  json j = json::parse(text);
  if (j.at("version") != kFormatVersion)
    throw data_error("dataset format version {}, this program reads {}", j.at("version").dump(), kFormatVersion);
  Manifest m;
  m.schema = Schema::from_json(j.at("schema").dump());
  m.step_key = j.at("step_key");
  for (const auto& pieces : j.at("partitions")) {
    PartitionPlace& place = m.partitions.emplace_back();
    for (const auto& p : pieces) {
      PiecePlace piece{p.at("file"), p.at("first_row"), p.at("rows"), p.at("bytes"), {}};
      for (const auto& c : p.at("columns"))
        piece.columns.push_back({c.at(0), c.at(1), c.at(2), c.at(3), c.at(4), std::stoull(c.at(5).get<std::string>(), nullptr, 16), ColumnRange::from_json(c.at(6))});
      if (piece.columns.size() != m.schema.size()) throw data_error("a piece has {} columns, the schema {}", piece.columns.size(), m.schema.size());
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
  Column::Parts parts;
  parts.bytes.resize(at.num_values * value_bytes(f.type));
  file.read(value_path(f), value_array(f.type), at.first_value, at.num_values, parts.bytes.data());
  if (!is_fixed(f.type)) {
    parts.lengths.resize(rows);
    file.read(length_path(f), ArrayType::kUInt32, place.first_row, rows, parts.lengths.data());
  }
  if (f.type == Type::kListString) {
    parts.string_lengths.resize(at.num_strings);
    file.read(string_length_path(f), ArrayType::kUInt32, at.first_string, at.num_strings, parts.string_lengths.data());
  }
  if (at.null_count > 0) {
    parts.valid.resize(rows);
    file.read(valid_path(f), ArrayType::kUInt8, place.first_row, rows, parts.valid.data());
  }
  Column c = Column::from_parts(f.type, place.num_rows, std::move(parts));
  if (c.content_hash() != at.checksum)
    throw data_error("{}: column '{}' of a partition does not match its checksum", (folder_ / place.file).string(), f.name)
        .with_hint("the file was damaged after it was written; remove the dataset and run the step again");
  return c;
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

// ---------------------------------------------------------------------------------------------------- writing

DatasetWriter::DatasetWriter(fs::path folder, Schema schema, comm::Communicator& comm, const std::string& kept)
    : folder_(std::move(folder)), schema_(std::move(schema)), comm_(comm), cutter_(schema_, [this](Batch piece) { write_piece(piece); }) {
  if (comm_.rank() == 0) {
    std::error_code ignored;
    fs::remove(folder_ / "manifest.json", ignored);
    std::set<std::string> files;
    if (!kept.empty())
      for (const auto& one : json::parse(kept))
        for (auto& [partition, place] : places_from(one.get<std::string>())) {
          for (const auto& piece : place.pieces) files.insert(piece.file);
          places_[partition] = std::move(place);
        }
    if (fs::exists(folder_))
      for (const auto& entry : fs::directory_iterator(folder_))
        if (!files.count(entry.path().filename())) fs::remove_all(entry.path(), ignored);
    for (const auto& file : files)
      if (!fs::exists(folder_ / file)) throw data_error("{}: part file '{}', which a checkpoint names, is missing", folder_.string(), file);
    make_folder(folder_);
  }
  comm_.barrier();
}

void DatasetWriter::open_part(int64_t partition) {
  part_name_ = fmt::format("part-{:05}.h5", partition);
  part_ = Hdf5File::create(folder_ / part_name_);
  behind_.emplace(folder_ / part_name_);
  for (const Field& f : schema_.fields()) {
    part_->make_growing(value_path(f), value_array(f.type));
    if (!is_fixed(f.type)) part_->make_growing(length_path(f), ArrayType::kUInt32);
    if (f.type == Type::kListString) part_->make_growing(string_length_path(f), ArrayType::kUInt32);
  }
  value_ends_.assign(schema_.size(), 0);
  string_ends_.assign(schema_.size(), 0);
  has_validity_.assign(schema_.size(), 0);
}

void DatasetWriter::write(int64_t partition, const Batch& rows) {
  THRONG_CHECK(partition >= partition_, "partition {} after {}", partition, partition_);
  THRONG_CHECK(rows.schema().size() == schema_.size(), "{} columns written under a schema of {}", rows.schema().size(), schema_.size());
  if (partition != partition_) cutter_.finish();
  partition_ = partition;
  places_[partition];
  cutter_.add(rows);
}

void DatasetWriter::write_piece(const Batch& rows) {
  if (!part_) open_part(partition_);
  PiecePlace place{part_name_, part_rows_, rows.num_rows(), 0, {}};
  for (size_t i = 0; i < schema_.size(); ++i) {
    const Field& f = schema_[i];
    const Column& c = rows.column(i);
    THRONG_CHECK(c.type() == f.type && rows.schema()[i].name == f.name, "column '{}' ({}) written as '{}' ({})",
                 rows.schema()[i].name, type_name(c.type()), f.name, type_name(f.type));
    ColumnPlace at{value_ends_[i], c.bytes().size() / value_bytes(f.type), string_ends_[i], 0, count_nulls(c), c.content_hash(), ColumnRange::of(c)};
    part_->append(value_path(f), value_array(f.type), c.bytes().data(), at.num_values);
    if (!is_fixed(f.type)) {
      auto lengths = lengths_of(c.offsets());
      part_->append(length_path(f), ArrayType::kUInt32, lengths.data(), lengths.size());
    }
    if (f.type == Type::kListString) {
      auto lengths = lengths_of(c.string_offsets());
      at.num_strings = lengths.size();
      part_->append(string_length_path(f), ArrayType::kUInt32, lengths.data(), lengths.size());
    }
    if (at.null_count > 0 && !has_validity_[i]) {  // the first null of this file: the rows before it were valid
      has_validity_[i] = 1;
      part_->make_growing(valid_path(f), ArrayType::kUInt8);
      std::vector<uint8_t> ones(part_rows_, 1);
      part_->append(valid_path(f), ArrayType::kUInt8, ones.data(), ones.size());
    }
    if (has_validity_[i]) {
      std::vector<uint8_t> valid(c.valid().begin(), c.valid().end());
      valid.resize(size_t(rows.num_rows()), 1);
      part_->append(valid_path(f), ArrayType::kUInt8, valid.data(), valid.size());
    }
    value_ends_[i] += at.num_values;
    string_ends_[i] += at.num_strings;
    place.num_bytes += c.num_bytes();
    place.columns.push_back(at);
  }
  part_rows_ += uint64_t(rows.num_rows());
  behind_->wrote(place.num_bytes);
  places_[partition_].pieces.push_back(std::move(place));
}

void DatasetWriter::write_virtual(const Manifest& manifest) const {
  // Totals per part file, in partition order.
  struct Totals {
    uint64_t rows = 0;
    std::vector<uint64_t> values, strings;
    std::vector<uint8_t> nulls;
  };
  std::vector<std::pair<std::string, Totals>> files;
  std::vector<const PiecePlace*> pieces;
  for (const auto& partition : manifest.partitions)
    for (const auto& piece : partition.pieces) pieces.push_back(&piece);
  for (const PiecePlace* piece : pieces) {
    const PiecePlace& p = *piece;
    if (files.empty() || files.back().first != p.file) {
      files.emplace_back(p.file, Totals{});
      files.back().second.values.resize(schema_.size());
      files.back().second.strings.resize(schema_.size());
      files.back().second.nulls.resize(schema_.size());
    }
    Totals& t = files.back().second;
    t.rows += uint64_t(p.num_rows);
    for (size_t i = 0; i < p.columns.size(); ++i) {
      t.values[i] += p.columns[i].num_values;
      t.strings[i] += p.columns[i].num_strings;
      t.nulls[i] |= p.columns[i].null_count > 0;
    }
  }
  Hdf5File out = Hdf5File::create(folder_ / "dataset.h5");
  for (size_t i = 0; i < schema_.size(); ++i) {
    const Field& f = schema_[i];
    auto sources = [&](auto length, bool optional) {
      std::vector<Hdf5File::Source> list;
      for (const auto& [name, t] : files) list.push_back({name, length(t), !optional || t.nulls[i]});
      return list;
    };
    auto rows = [](const Totals& t) { return t.rows; };
    out.make_virtual(value_path(f), value_array(f.type), sources([&](const Totals& t) { return t.values[i]; }, false), 0);
    if (!is_fixed(f.type)) out.make_virtual(length_path(f), ArrayType::kUInt32, sources(rows, false), 0);
    if (f.type == Type::kListString)
      out.make_virtual(string_length_path(f), ArrayType::kUInt32, sources([&](const Totals& t) { return t.strings[i]; }, false), 0);
    for (const auto& [name, t] : files) {
      if (!t.nulls[i]) continue;
      out.make_virtual(valid_path(f), ArrayType::kUInt8, sources(rows, true), 1);
      break;
    }
    out.set_attribute("/" + link_name(f.name), "type", std::string(type_name(f.type)));
  }
  out.close();
}

void DatasetWriter::end_part() {
  cutter_.finish();
  if (!part_) return;
  part_->close();
  part_.reset();
  behind_.reset();
  fsync_path(folder_ / part_name_);
  part_rows_ = 0;
}

std::string DatasetWriter::keep() {
  end_part();
  Manifest mine;
  mine.schema = schema_;
  json numbers = json::array();
  for (const auto& [partition, place] : places_) {
    numbers.push_back(partition);
    mine.partitions.push_back(place);
  }
  return json{{"numbers", numbers}, {"manifest", mine.to_json()}}.dump();
}

Manifest DatasetWriter::commit(int64_t num_partitions, const std::string& step_key) {
  const auto all = comm_.gather(keep());
  std::string text;
  if (comm_.rank() == 0) {
    Manifest whole;
    whole.schema = schema_;
    whole.step_key = step_key;
    whole.partitions.resize(size_t(num_partitions));
    for (const auto& one : all)
      for (auto& [partition, place] : places_from(one)) whole.partitions.at(size_t(partition)) = std::move(place);
    write_virtual(whole);
    fsync_path(folder_ / "dataset.h5");
    text = whole.to_json();
    write_file_atomically(folder_ / "manifest.json", text);
    fsync_path(folder_);
  }
  comm_.broadcast(text);
  return Manifest::from_json(text);
}

void copy_dataset(const fs::path& from, const fs::path& target) {
  DatasetReader check(from);
  const fs::path to = target.has_filename() ? target : target.parent_path();  // "out/" is "out"
  fs::path staging = to;
  staging += ".partial";
  std::error_code code;
  fs::remove_all(staging, code);
  make_folder(staging);
  for (const auto& entry : fs::directory_iterator(from)) {
    fs::path copy = staging / entry.path().filename();
    fs::create_hard_link(entry.path(), copy, code);
    if (code) {
      std::error_code copied;
      fs::copy_file(entry.path(), copy, copied);
      if (copied) throw system_error("{}: cannot be written: {}", copy.string(), copied.message());
    }
  }
  if (fs::exists(to) && !DatasetReader::exists(to) && !fs::is_empty(to)) {
    fs::remove_all(staging, code);
    throw job_error("{}: exists and is not a dataset; it is not replaced", to.string());
  }
  fs::remove_all(to, code);
  fs::rename(staging, to, code);
  if (code) throw system_error("{}: cannot be renamed into place: {}", to.string(), code.message());
}

}  // namespace throng::data
