// What epochs have shown so far, and the weights of the best: kept beside the checkpoint, so that a run that goes on knows them.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/train/trainer.h"

namespace throng::train {

/// One for each training run, on every rank. Points are objects with "epoch", counted from 1.
class EpochCurve {
 public:
  /// Collective. Reads what an earlier run of the step left, where it left a checkpoint, too.
  /// `score`: the number of a point that epochs are compared by, where they are validated.
  EpochCurve(comm::Communicator& comm, std::filesystem::path folder, std::string score = "", bool higher_is_better = false);

  const nlohmann::json& points() const { return points_; }
  /// Collective. Adds the point of an epoch, counted from 0; those of later epochs, which are gone through again, go.
  void add(int64_t epoch, nlohmann::json point);
  /// Collective. The same of an epoch that was validated: its weights are kept where it is the best so far, on disk with the next checkpoint, and it is a data error where its score is not a
  /// number. Returns false where `patience`, unless it is 0, has been without a better epoch for so long.
  bool add_validated(const EpochEnd& end, nlohmann::json point, int64_t patience);
  /// Collective, after training. The weights of the best epoch, `count` of them, from their file. A data error where they were not kept.
  Weights best_weights(size_t count);
  /// Rank 0, when the step is recorded as done: the checkpoint goes first, since it needs the best.
  static void remove_files(const std::filesystem::path& folder);

 private:
  comm::Communicator& comm_;
  bool better(const nlohmann::json& a, const nlohmann::json& b) const;
  /// Null where there is no point whose weights may be had.
  const nlohmann::json* best() const;
  bool has_weights_of(int64_t epoch) const;
  /// Collective. A run that goes on from a checkpoint that was put in the newest one's place may not find the weights of its best, since better ones that it has yet to come to again took their place:
  /// with other shards they may not come, so an epoch without weights is not the best.
  void forget_lost();

  std::filesystem::path folder_;
  std::string score_;
  bool higher_is_better_;
  nlohmann::json points_ = nlohmann::json::array();
  std::set<int64_t> lost_;
  bool looked_ = false;
};

}  // namespace throng::train
