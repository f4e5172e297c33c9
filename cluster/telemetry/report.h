// What one rank says of itself, about once a second, while MPI may be stuck.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "framework/base/board.h"

namespace throng::telemetry {

struct RankReport {
  int rank = 0;
  std::string host;
  int pid = 0;
  uint64_t resident_bytes = 0, peak_bytes = 0;  ///< of its process; the peak since its step began
  uint64_t sent_bytes = 0, received_bytes = 0;  ///< since the run began
  double collective_wait_seconds = 0, exchange_wait_seconds = 0, writing_seconds = 0;
  std::vector<BoardLine::Snapshot> lanes;       ///< one, but where branches of the plan go on at the same time; none between steps
  double age_seconds = 0;                       ///< since it said so: set by who reads it

  /// Of this process, now. Thread-safe.
  static RankReport of(int rank, const Board& board);
  nlohmann::json to_json() const;
  /// Throws nlohmann::json::exception where it is none.
  static RankReport from_json(const nlohmann::json& j);
};

}  // namespace throng::telemetry
