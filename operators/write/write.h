// operators/write: rows to files for other programs.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Writes all rows, in the dataset's order, to one file at `path` (from the run directory where it is relative): `.csv`, `.jsonl`, either
/// with `.gz` or `.zst` after it, or `.h5` (one HDF5 file by collective parallel HDF5, the layout of a dataset's dataset.h5); a path without such
/// an ending is a dataset folder. Ranks write their parts at once; the file appears whole or not at all. Has one row: path, format, rows,
/// bytes. A file that was removed is written again by the next run. How many bytes a compressed file has depends
/// on the number of ranks; what is in it does not.
struct Write {
  std::string path;
  std::string format = "auto";

  static constexpr auto kOp = "write";
  static constexpr auto kSummary = "writes rows to one CSV, JSONL or HDF5 file, or to a dataset folder";
  static auto fields() {
    return graph::fields(graph::field("path", &Write::path, "file or folder").required(),
                         graph::field("format", &Write::format, "auto: by the path's ending").one_of({"auto", "csv", "jsonl", "h5", "dataset"}));
  }
};

}  // namespace throng::op
