// What is kept of a task under way, so that a later run goes on from there on any number of ranks.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/engine/buckets.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {

/// Rows that wait between two stages, by the keyed node they go to and which of its inputs they are.
using WaitingRows = std::map<std::pair<size_t, size_t>, std::unique_ptr<Buckets>>;

struct Checkpoint {
  size_t stage = 0;                ///< the one under way
  std::vector<int64_t> finished;   ///< partitions of its head that are through, ascending; all ranks', where loaded
  std::string written;             ///< what `DatasetWriter::keep` gave, where the stage writes a dataset; rank 0's, where loaded
  StepRecord record;               ///< counts up to here, and seconds; rank 0's
};

/// The folder of a task's checkpoint: files of blocks that ranks append to, and checkpoint.json, whose renaming into place is the commit.
class CheckpointFolder {
 public:
  /// `key`: of the task; a checkpoint of another key is none.
  CheckpointFolder(std::filesystem::path path, std::string key, comm::Communicator& comm) : path_(std::move(path)), key_(std::move(key)), comm_(comm) {}

  /// Collective. Makes durable what waits on all ranks, and commits it with each rank's own partitions and dataset places. Returns the bytes written here.
  uint64_t save(const Checkpoint& checkpoint, const WaitingRows& rows);
  /// Collective. The last commit; each rank finds the waiting rows of its own partitions in `rows`, which gets buckets from `make` as needed.
  /// `num_partitions`: of a keyed node. A data error where the checkpoint is damaged.
  std::optional<Checkpoint> load(WaitingRows& rows, const std::function<std::unique_ptr<Buckets>()>& make, const std::function<int64_t(size_t)>& num_partitions);
  /// Rank 0. The task is done.
  void remove() const;

 private:
  std::filesystem::path path_;
  std::string key_;
  comm::Communicator& comm_;
  int64_t generation_ = 0;
};

}  // namespace throng::engine
