// What the records of files look like: names and types of their columns. Internal to read_events.
#pragma once
#include <string>
#include <vector>

#include "framework/data/schema.h"
#include "operators/read_events/read_events.h"

namespace throng::op {

/// A column of the output and where its values come from.
struct ColumnSource {
  data::Field field;
  std::string from;      ///< the file's column name or JSON path
  int index = -1;        ///< CSV and TSV: the field's number
  bool is_constant = false;
  std::string constant;
};

/// How the files are to be read: found by rank 0, the same on every rank.
struct RecordFormat {
  bool json = false, quoting = false, has_header = false;
  char delimiter = ',';
  std::vector<ColumnSource> columns;
  size_t num_fields = 0;  ///< CSV and TSV
};

/// Names and guessed types of all columns that `sample` records show (JSONL), or of the header and the records (CSV).
RecordFormat guess_format(const ReadEvents& params, bool json, bool quoting, char delimiter, const std::vector<std::string>& sample);

}  // namespace throng::op
