// Rank 0's: gathers what the ranks say of themselves, and writes it beside the run's state.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/telemetry/report.h"

namespace throng::telemetry {

/// RUN/ranks.json and RUN/metrics.prom, written anew about once a second from a thread of its own, which never calls MPI. All methods
/// may be called from any thread.
class Recorder {
 public:
  /// `run`: the run directory; empty, or without a state.json: nothing is written yet.
  Recorder(int num_ranks, std::function<std::filesystem::path()> run);
  /// Writes a last time.
  ~Recorder();

  /// A rank of this process.
  void watch(int rank, std::shared_ptr<const Board> board);
  /// What another process said: `RankReport` as JSON. What is none is dropped.
  void take(int rank, const std::string& report);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct RanksFile {
  std::string updated;  ///< UTC
  double age_seconds = 0;  ///< by the file's time
  int num_ranks = 0;
  std::vector<RankReport> ranks;  ///< those heard of
  /// Adds the file's age to that of each rank: of a run that goes on, where rank 0 may be the one that stands still.
  void age() {
    for (auto& r : ranks) r.age_seconds += age_seconds;
  }
};
/// RUN/ranks.json; no ranks where there is none, or it is damaged.
RanksFile read_ranks(const std::filesystem::path& run);

}  // namespace throng::telemetry
