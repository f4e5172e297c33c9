// From the text of records to columns: CSV, TSV and JSONL. Internal to read_events.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "framework/data/batch.h"
#include "framework/data/time.h"
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

/// Splits one CSV or TSV record (without its line break) into fields; false when a quote is not closed.
bool split_fields(std::string_view record, char delimiter, bool quoting, std::vector<std::string>& fields);

/// Names and guessed types of all columns that `sample` records show (JSONL), or of the header and the records (CSV).
RecordFormat guess_format(const ReadEvents& params, bool json, bool quoting, char delimiter, const std::vector<std::string>& sample);

/// Turns records into batches. Not shared between threads.
class RecordReader {
 public:
  RecordReader(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted);
  ~RecordReader();
  /// Adds one record; returns "" or why it is bad (then nothing was added).
  std::string add(std::string_view record);
  int64_t num_rows() const;
  data::Batch take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace throng::op
