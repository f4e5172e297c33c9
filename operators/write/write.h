// operators/write: rows to files for other programs.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Writes all rows, in the dataset's order, to one file at `path` (from the run directory where it is relative): `.csv`, `.jsonl`, either
/// with `.gz` or `.zst` after it, or `.h5` (one HDF5 file by collective parallel HDF5, the layout of a dataset's dataset.h5); a path without such
/// an ending is a dataset folder. Ranks write their parts at once; the file appears whole or not at all. Has one row: path, format, rows,
/// bytes. A file that was removed is written again by the next run. With `compression: gzip` the arrays of a dataset are deflated, which
/// h5py and every HDF5 reads as it is. How many bytes a compressed file or dataset has depends on the number of ranks; what is in it does not.
struct Write {
  std::string path;
  std::string format = "auto";
  std::string compression = "none";
  int64_t level = 1;

  static constexpr auto kOp = "write";
  static constexpr auto kSummary = "writes rows to one CSV, JSONL or HDF5 file, or to a dataset folder";
  static auto fields() {
    return graph::fields(graph::field("path", &Write::path, "file or folder").required(),
                         graph::field("format", &Write::format, "auto: by the path's ending").one_of({"auto", "csv", "jsonl", "h5", "dataset"}),
                         graph::field("compression", &Write::compression, "of a dataset: none, or gzip (HDF5's shuffle and deflate filters)").one_of({"none", "gzip"}),
                         graph::field("level", &Write::level, "of gzip: 1 is quick, 9 small").min(1).max(9));
  }
};

}  // namespace throng::op
