// operators/read_dataset: rows of a dataset that an earlier run made.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Reads a dataset folder (a step's `data`, what `save:` or `write` made), partition by partition as it was written; only the columns that are
/// needed. The path is relative to the job file. Its content is part of the step's key.
struct ReadDataset {
  std::string path;

  static constexpr auto kOp = "read_dataset";
  static constexpr auto kSummary = "reads a dataset that an earlier run made";
  static auto fields() { return graph::fields(graph::field("path", &ReadDataset::path, "dataset folder").required()); }
};

}  // namespace throng::op
