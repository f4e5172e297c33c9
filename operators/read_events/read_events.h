// operators/read_events: events from text files.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Reads events from JSONL, CSV or TSV files, plain, .gz or .zst, cut in partitions of about 4 MiB that follow from the
/// files alone. Columns `user item ts action text value` are known (only `ts` is required); any other column is kept.
struct ReadEvents {
  std::vector<std::string> path;
  std::string format = "auto";
  std::vector<std::string> columns;
  graph::NameMap map;
  graph::NameMap constants;
  graph::NameMap types;
  std::string delimiter;
  std::string encoding = "utf-8";
  std::string time_unit = "auto";
  std::string time_format;
  std::string time_zone = "UTC";
  std::vector<std::string> null_values = {""};
  std::string on_bad_row = "fail";
  int64_t partitions = 0;
  bool timeless = false;

  static constexpr auto kOp = "read_events";
  static constexpr auto kSummary = "reads events from JSONL, CSV or TSV files, plain or compressed";
  static auto fields() {
    return graph::fields(
        graph::field("path", &ReadEvents::path, "files, folders or globs, relative to the job file").required(),
        graph::field("format", &ReadEvents::format, "auto goes by the file name, then by the first line").one_of({"auto", "jsonl", "csv", "tsv"}),
        graph::field("columns", &ReadEvents::columns, "names of the columns of a CSV or TSV file without a header"),
        graph::field("map", &ReadEvents::map, "our column: the file's column (or dotted JSON path), such as {user: CustomerID}"),
        graph::field("constants", &ReadEvents::constants, "columns with one value for all rows, such as {action: buy}"),
        graph::field("types", &ReadEvents::types, "types of other columns, such as {price: float64}; guessed from the first rows otherwise"),
        graph::field("delimiter", &ReadEvents::delimiter, "one character between fields; comma for CSV, tab for TSV"),
        graph::field("encoding", &ReadEvents::encoding, "utf-8, gb18030, big5, latin1 or another name that ICU knows"),
        graph::field("time_unit", &ReadEvents::time_unit, "unit of epoch numbers; auto tells them apart by size").one_of({"auto", "s", "ms", "us"}),
        graph::field("time_format", &ReadEvents::time_format, "strptime format of ts, such as %d/%b/%Y:%H:%M:%S %z; empty: epoch, RFC 3339 or a date"),
        graph::field("time_zone", &ReadEvents::time_zone, "zone of times without an offset; windows and hours use it too"),
        graph::field("null_values", &ReadEvents::null_values, "field texts of CSV and TSV that mean: no value"),
        graph::field("on_bad_row", &ReadEvents::on_bad_row, "fail: stop with file and line; skip: drop and count; quarantine: drop, count and keep aside").one_of({"fail", "skip", "quarantine"}),
        graph::field("partitions", &ReadEvents::partitions, "about how many partitions to cut; 0: one per 4 MiB, 16 to 16384").min(0).max(16384),
        graph::field("timeless", &ReadEvents::timeless, "a table of things (items, users) rather than events: it needs no column ts"));
  }
};

}  // namespace throng::op
