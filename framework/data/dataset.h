// Datasets on disk: a folder with a manifest, HDF5 part files of whole partitions, and one virtual HDF5 file over them.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/data/batch.h"
#include "framework/data/column_range.h"
#include "framework/data/hdf5_file.h"
#include "framework/data/partitions.h"
#include "framework/data/pieces.h"

namespace throng {
class ThreadPool;
}

namespace throng::data {
class PartFile;

/// How a dataset lies on disk. What it holds, and its content hash, do not depend on it.
struct Storage {
  int gzip_level = 0;          ///< 1 to 9; 0: not compressed
  ThreadPool* pool = nullptr;  ///< compresses, and must be free while rows are written; none: the writing thread compresses
};

/// Where the strings of a piece lie that are stored as codes: `lengths` and `bytes` hold its dictionary there.
struct CodesPlace {
  uint64_t first = 0, num_bytes = 0;             // codes: a byte a row, two where the dictionary has more than 256 strings
  uint64_t dictionary_size = 0, dictionary_bytes = 0;
};

/// Where one column of one piece lies in its part file, the hash of its content, and its least and greatest value.
struct ColumnPlace {
  uint64_t first_value = 0, num_values = 0;  // bytes for strings, elements for numeric lists, rows for fixed types
  uint64_t first_string = 0, num_strings = 0;  // where its lengths begin; list<string>: how many
  int64_t null_count = 0;
  uint64_t checksum = 0;
  ColumnRange range{};
  std::optional<CodesPlace> codes{};
};

/// Rows of a partition that are stored and checked together. Where pieces end follows from the rows alone.
struct PiecePlace {
  std::string file;
  uint64_t first_row = 0;  // in the part file
  int64_t num_rows = 0;
  uint64_t num_bytes = 0;
  std::vector<ColumnPlace> columns;
};

struct PartitionPlace {
  std::vector<PiecePlace> pieces;  ///< none where the partition is empty
  int64_t num_rows() const;
  uint64_t num_bytes() const;
};

/// What a dataset is: everything but the values.
struct Manifest {
  Schema schema;
  std::vector<PartitionPlace> partitions;
  std::string step_key;
  bool gzip = false;
  int64_t num_rows() const;
  uint64_t num_bytes() const;
  /// Hash of schema and all values in order; the same however many ranks wrote it.
  std::string content_hash() const;
  std::string to_json() const;
  static Manifest from_json(const std::string& text);
};

/// Reads partitions; checks each column's checksum. Thread-safe.
class DatasetReader {
 public:
  /// A data error where the folder has no manifest (never finished, or not a dataset).
  explicit DatasetReader(std::filesystem::path folder);
  static bool exists(const std::filesystem::path& folder);

  const Manifest& manifest() const { return manifest_; }
  const Schema& schema() const { return manifest_.schema; }
  int64_t num_partitions() const { return int64_t(manifest_.partitions.size()); }
  /// One partition, with the named columns (all when `columns` is empty).
  Batch read(int64_t partition, const std::vector<std::string>& columns = {}) const;
  /// One piece of it; `origin` tells the row it begins at.
  Batch read_piece(int64_t partition, size_t piece, const std::vector<std::string>& columns = {}) const;
  /// The whole dataset in one batch: for small results.
  Batch read_all(const std::vector<std::string>& columns = {}) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  const Hdf5File& file(const std::string& name) const;
  Column read_column(const Hdf5File& file, const PiecePlace& place, size_t column) const;

  std::filesystem::path folder_;
  Manifest manifest_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Hdf5File> files_;
};

/// Writes the partitions of one rank in ascending order; nothing is visible before `commit`.
class DatasetWriter {
 public:
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;
  ~DatasetWriter();
  /// Collective. Clears what an unfinished writer left in the folder, and takes a dataset there away. `kept`: on rank 0, a JSON list of what
  /// `keep` gave to ranks of an earlier run; those partitions stay and must not be written again.
  DatasetWriter(std::filesystem::path folder, Schema schema, comm::Communicator& comm, const std::string& kept = "", Storage storage = {});
  /// Local. Appends rows to a partition of this rank; partitions must ascend. Holds back less than a piece.
  void write(int64_t partition, const Batch& rows);
  /// Local. What follows goes to another part file: partitions that are kept from an earlier run lie between.
  void end_part();
  /// Local. Flushes; what this rank holds so far, for a writer that goes on from here.
  std::string keep();
  /// Collective. Flushes, agrees with all ranks and makes the dataset visible by one rename. Partitions that no rank
  /// wrote are empty. Returns the manifest on every rank.
  Manifest commit(int64_t num_partitions, const std::string& step_key);

 private:
  void write_piece(const Batch& rows);
  void write_virtual(const Manifest& manifest) const;

  std::filesystem::path folder_;
  Schema schema_;
  comm::Communicator& comm_;
  Storage storage_;
  std::unique_ptr<PartFile> part_;
  std::map<int64_t, PartitionPlace> places_;
  int64_t partition_ = -1;  // the one that rows are appended to
  PieceCutter cutter_;
};

/// Collective. Writes a finished dataset anew, stored another way, to the folder `target`; visible at once or not at all.
void store_dataset(const DatasetReader& from, const std::filesystem::path& target, comm::Communicator& comm, const Storage& storage);
/// Copies a finished dataset to the folder `target` (hard links where the disk allows), visible at once or not at all.
void copy_dataset(const std::filesystem::path& from, const std::filesystem::path& target);

}  // namespace throng::data
