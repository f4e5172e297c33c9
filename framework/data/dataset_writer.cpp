// Writing of datasets, and making one from another.
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/files.h"
#include "framework/base/thread_pool.h"
#include "framework/data/dataset.h"
#include "framework/data/dataset_layout.h"
#include "framework/data/part_file.h"

namespace throng::data {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

// What `DatasetWriter::keep` has packed.
std::map<int64_t, PartitionPlace> places_from(const std::string& packed) {
  const json j = json::parse(packed);
  Manifest part = Manifest::from_json(j.at("manifest"));
  std::map<int64_t, PartitionPlace> places;
  for (size_t i = 0; i < part.partitions.size(); ++i) places[j.at("numbers")[i].get<int64_t>()] = std::move(part.partitions[i]);
  return places;
}

}  // namespace

DatasetWriter::DatasetWriter(fs::path folder, Schema schema, comm::Communicator& comm, const std::string& kept, Storage storage)
    : folder_(std::move(folder)), schema_(std::move(schema)), comm_(comm), storage_(storage), cutter_(schema_, [this](Batch piece) { write_piece(piece); }) {
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

DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::write(int64_t partition, const Batch& rows) {
  THRONG_CHECK(partition >= partition_, "partition {} after {}", partition, partition_);
  THRONG_CHECK(rows.schema().size() == schema_.size(), "{} columns written under a schema of {}", rows.schema().size(), schema_.size());
  if (partition != partition_) cutter_.finish();
  partition_ = partition;
  places_[partition];
  cutter_.add(rows);
}

void DatasetWriter::write_piece(const Batch& rows) {
  Activity writing(comm_.line(), Doing::kWriting, "its dataset");
  if (!part_) part_ = std::make_unique<PartFile>(folder_, fmt::format("part-{:05}.h5", partition_), schema_, storage_);
  places_[partition_].pieces.push_back(part_->append(rows));
}

void DatasetWriter::write_virtual(const Manifest& manifest) const {
  // What each column has in each part file, in partition order.
  struct Totals {
    uint64_t values = 0, strings = 0, codes = 0;
    bool nulls = false;
  };
  struct File {
    std::string name;
    uint64_t rows = 0;
    std::vector<Totals> columns;
  };
  std::vector<File> files;
  std::vector<std::vector<int64_t>> piece_strings(schema_.size());
  std::vector<int64_t> piece_rows;
  for (const auto& partition : manifest.partitions)
    for (const PiecePlace& p : partition.pieces) {
      if (files.empty() || files.back().name != p.file) files.push_back({p.file, 0, std::vector<Totals>(schema_.size())});
      files.back().rows += uint64_t(p.num_rows);
      piece_rows.push_back(p.num_rows);
      for (size_t i = 0; i < p.columns.size(); ++i) {
        const ColumnPlace& c = p.columns[i];
        Totals& t = files.back().columns[i];
        const uint64_t strings = schema_[i].type != Type::kString ? c.num_strings : c.codes ? c.codes->dictionary_size : uint64_t(p.num_rows);
        t.values += c.codes ? c.codes->dictionary_bytes : c.num_values;
        t.strings += strings;
        t.codes += c.codes ? c.codes->num_bytes : 0;
        t.nulls |= c.null_count > 0;
        piece_strings[i].push_back(int64_t(strings));
      }
    }
  Hdf5File out = Hdf5File::create(folder_ / "dataset.h5");
  for (size_t i = 0; i < schema_.size(); ++i) {
    const Field& f = schema_[i];
    auto join = [&](const std::string& path, ArrayType type, auto length, auto present, int fill) {
      std::vector<Hdf5File::Source> sources;
      for (const File& file : files) sources.push_back({file.name, length(file), present(file)});
      out.make_virtual(path, type, sources, fill);
    };
    auto rows = [](const File& file) { return file.rows; };
    auto strings = [i](const File& file) { return file.columns[i].strings; };
    auto always = [](const File&) { return true; };
    auto has_nulls = [i](const File& file) { return file.columns[i].nulls; };
    auto has_codes = [i](const File& file) { return file.columns[i].codes > 0; };
    join(value_path(f), value_array(f.type), [i](const File& file) { return file.columns[i].values; }, always, 0);
    if (f.type == Type::kString) join(length_path(f), ArrayType::kUInt32, strings, always, 0);
    if (is_list(f.type)) join(length_path(f), ArrayType::kUInt32, rows, always, 0);
    if (f.type == Type::kListString) join(string_length_path(f), ArrayType::kUInt32, strings, always, 0);
    if (std::any_of(files.begin(), files.end(), has_codes)) {
      join(codes_path(f), ArrayType::kUInt8, [i](const File& file) { return file.columns[i].codes; }, always, 0);
      out.write(piece_rows_path(f), ArrayType::kInt64, piece_rows.data(), {piece_rows.size()});
      out.write(piece_strings_path(f), ArrayType::kInt64, piece_strings[i].data(), {piece_strings[i].size()});
    }
    if (std::any_of(files.begin(), files.end(), has_nulls)) join(valid_path(f), ArrayType::kUInt8, rows, has_nulls, 1);
    out.set_attribute("/" + link_name(f.name), "type", std::string(type_name(f.type)));
  }
  out.close();
}

void DatasetWriter::end_part() {
  cutter_.finish();
  if (!part_) return;
  Activity writing(comm_.line(), Doing::kWriting, "its dataset");
  part_->close();
  part_.reset();
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
  end_part();
  Activity writing(comm_.line(), Doing::kWriting, "its dataset");
  const auto all = comm_.gather(comm_.rank() == 0 ? "" : keep());
  Manifest whole;
  std::string text;
  if (comm_.rank() == 0) {
    whole.schema = schema_;
    whole.step_key = step_key;
    whole.gzip = storage_.gzip_level > 0;
    whole.partitions.resize(size_t(num_partitions));
    for (auto& [partition, place] : places_) whole.partitions.at(size_t(partition)) = place;
    for (size_t r = 1; r < all.size(); ++r)
      for (auto& [partition, place] : places_from(all[r])) whole.partitions.at(size_t(partition)) = std::move(place);
    write_virtual(whole);
    fsync_path(folder_ / "dataset.h5");
    text = whole.to_json();
    write_file_atomically(folder_ / "manifest.json", text);
    fsync_path(folder_);
  }
  comm_.broadcast(text);
  return comm_.rank() == 0 ? whole : Manifest::from_json(text);
}

namespace {

// The name beside a target under which a dataset is put together. "out/" is "out".
struct Staging {
  fs::path to, folder;
  explicit Staging(const fs::path& target) : to(target.has_filename() ? target : target.parent_path()), folder(to) { folder += ".partial"; }
  void remove() const {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  void prepare() const {
    if (fs::exists(to) && !DatasetReader::exists(to) && !fs::is_empty(to)) throw job_error("{}: exists and is not a dataset; it is not replaced", to.string());
    remove();
  }
  void rename() const {
    std::error_code code;
    fs::remove_all(to, code);
    fs::rename(folder, to, code);
    if (code) throw system_error("{}: cannot be renamed into place: {}", to.string(), code.message());
  }
};

}  // namespace

void store_dataset(const DatasetReader& from, const fs::path& target, comm::Communicator& comm, const Storage& storage) {
  const Staging staging(target);
  if (comm.rank() == 0) staging.prepare();
  try {
    DatasetWriter writer(staging.folder, from.schema(), comm, "", storage);
    const int64_t n = from.num_partitions();
    const size_t at_once = storage.pool ? size_t(2 * storage.pool->num_threads()) : 1;
    for (int64_t p = first_partition(comm.rank(), comm.size(), n); p < first_partition(comm.rank() + 1, comm.size(), n); ++p) {
      const size_t pieces = from.manifest().partitions[size_t(p)].pieces.size();
      for (size_t first = 0; first < pieces; first += at_once) {
        std::vector<Batch> read(std::min(at_once, pieces - first));
        auto read_one = [&](size_t k) { read[k] = from.read_piece(p, first + k); };
        if (storage.pool) storage.pool->parallel_for(read.size(), read_one);
        else read_one(0);
        for (const Batch& rows : read) writer.write(p, rows);
      }
    }
    writer.commit(n, from.manifest().step_key);
  } catch (...) {
    staging.remove();
    throw;
  }
  if (comm.rank() == 0) staging.rename();
  comm.barrier();
}

void copy_dataset(const fs::path& from, const fs::path& target) {
  DatasetReader check(from);
  const Staging staging(target);
  staging.prepare();
  make_folder(staging.folder);
  for (const auto& entry : fs::directory_iterator(from)) {
    fs::path copy = staging.folder / entry.path().filename();
    std::error_code code;
    fs::create_hard_link(entry.path(), copy, code);
    if (code) {
      std::error_code copied;
      fs::copy_file(entry.path(), copy, copied);
      if (copied) throw system_error("{}: cannot be written: {}", copy.string(), copied.message());
    }
  }
  staging.rename();
}

}  // namespace throng::data
