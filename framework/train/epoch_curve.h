// What epochs have shown so far, and the weights of the best: kept beside the checkpoint, so that a run that goes on knows them.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"

namespace throng::train {

/// One for each training run, on every rank. Points are objects with "epoch", counted from 1.
class EpochCurve {
 public:
  /// Collective. Reads what an earlier run of the step left, where it left a checkpoint, too.
  EpochCurve(comm::Communicator& comm, std::filesystem::path folder);

  const nlohmann::json& points() const { return points_; }
  /// Collective. Adds the point of an epoch, counted from 0; those of later epochs, which are gone through again, go.
  void add(int64_t epoch, nlohmann::json point);
  /// Collective. The same of an epoch that was validated: `point[score]` is compared, and the weights are kept where it is the best so far. Returns false
  /// where `patience`, unless it is 0, has been without a better epoch for so long.
  bool add_validated(int64_t epoch, nlohmann::json point, const std::string& score, bool higher_is_better, int64_t patience, const std::vector<float>& weights);
  /// The weights of the best epoch. A data error where none was kept.
  std::vector<float> best_weights() const;
  /// Rank 0, when all that was learned is saved: the checkpoint goes first, since it needs the best.
  static void remove_files(const std::filesystem::path& folder);

 private:
  comm::Communicator& comm_;
  std::filesystem::path folder_;
  nlohmann::json points_ = nlohmann::json::array();
};

}  // namespace throng::train
