// One part file of a dataset while it is written: pieces go in, their places come out. Internal to framework/data.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "framework/data/array_writer.h"
#include "framework/data/dataset.h"

namespace throng::data {

/// One thread.
class PartFile {
 public:
  PartFile(const std::filesystem::path& folder, std::string name, Schema schema, const Storage& storage);
  /// Appends a piece, whose rows must be of the schema.
  PiecePlace append(const Batch& rows);
  /// Flushes to the disk.
  void close();

 private:
  struct Ends {  // of what is written of a column
    uint64_t values = 0, strings = 0, codes = 0;
    bool has_validity = false;
    std::vector<int64_t> piece_rows, piece_strings;  // strings: for readers of the file, where some pieces are codes
  };
  void append_strings(const Field& f, const Column& c, Ends& ends, ColumnPlace& at);
  void append_validity(const Field& f, const Column& c, Ends& ends, bool nulls);

  std::filesystem::path path_;
  std::string name_;
  Schema schema_;
  ArrayWriter arrays_;
  uint64_t rows_ = 0;
  std::vector<Ends> ends_;
};

}  // namespace throng::data
