// Flags that `run` and `submit` share: memory, disk, checkpoints, exchanges.
#pragma once
#include <string>
#include <vector>

#include "framework/engine/run.h"

namespace CLI {
class App;
}

namespace throng::cli {

struct EngineOptions {
  std::string memory, spill_quota, checkpoint_every = "10m", exchange = "stream";
  int branches = engine::kDefaultBranches;
  bool estimate = true;

  void add_to(CLI::App& command);
  /// A job error where a value is none.
  void apply(engine::RunOptions& options) const;
  /// The same as words of a command line; only those that are not the default.
  std::vector<std::string> words() const;
};

}  // namespace throng::cli
