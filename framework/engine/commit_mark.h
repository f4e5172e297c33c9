// What a run has kept so far, as a mark that two looks can be compared by: did an allocation get anywhere?
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace throng::engine {

struct CommitMark {
  std::string records;      ///< hash of the finished steps
  std::string stages;       ///< hash of how far checkpoints of stages are
  std::string stopped_at;   ///< where the run stopped as asked; empty where it did not
  std::string checkpoints;  ///< hash of the training checkpoints' names, sizes and times

  /// Of a run directory; of an empty or missing one too.
  static CommitMark of(const std::filesystem::path& run);
  /// True where nothing was kept between the two. A training that stopped at the same step again has written a new file that holds nothing new.
  static bool same(const CommitMark& before, const CommitMark& after);
  nlohmann::json to_json() const;
  static CommitMark from_json(const nlohmann::json& j);
};

}  // namespace throng::engine
