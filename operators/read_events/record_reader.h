// From the text of records to columns: CSV, TSV and JSONL. Internal to read_events.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/data/batch.h"
#include "operators/read_events/record_format.h"

namespace throng::op {

/// A record without its line break.
std::string_view without_line_break(std::string_view record);

/// Turns records into batches. Not shared between threads.
class RecordReader {
 public:
  RecordReader(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted);
  ~RecordReader();
  /// Adds one record; returns "" or why it is bad (then nothing was added).
  std::string add(std::string_view record);
  /// True where `add_whole` may be used: CSV and TSV in UTF-8.
  bool reads_blocks() const;
  using Bad = std::function<void(size_t at, std::string_view record, const std::string& fault)>;
  /// Adds the records that end in `text`, which begins with one and is shorter than 4 GiB, as `add` would; empty ones are passed over, and
  /// `bad` is called for those that are bad, in their order. Returns where the first record begins that does not end there.
  size_t add_whole(std::string_view text, const Bad& bad);
  int64_t num_rows() const;
  data::Batch take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace throng::op
