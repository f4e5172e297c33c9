// Small helpers for tests on batches and jobs: build rows, run a job on thread ranks, read results.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/data/batch.h"
#include "framework/engine/run.h"

namespace throng::testing {

/// A folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  /// Writes a file below the folder and returns its path.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path path_;
};

/// Columns from values: strings, doubles, int64 ...
data::Column strings(const std::vector<std::string>& values);
data::Column doubles(const std::vector<double>& values);
data::Column integers(const std::vector<int64_t>& values);
data::Column timestamps(const std::vector<int64_t>& values);
data::Column token_lists(const std::vector<std::vector<std::string>>& values);

/// Runs a job given as YAML text on ranks as threads; throws its error. Returns the records by step.
struct JobRun {
  std::map<std::string, engine::StepRecord> steps;
  std::filesystem::path folder;
  data::Batch rows(const std::string& step, const std::string& output = "") const;
};
struct JobSettings {
  int ranks = 1, threads = 1;
  uint64_t memory_bytes = uint64_t{256} << 20;
  bool resume = false;
  double checkpoint_every = 0;
  std::function<void(const engine::Progress&)> progress = {};
  int branches = engine::kDefaultBranches;
};
/// The plan of a job given as YAML text, on one rank; throws its faults.
engine::Plan plan_of(const std::string& yaml, const TemporaryFolder& folder);

JobRun run_job(const std::string& yaml, const TemporaryFolder& folder, const std::string& out, const JobSettings& settings = {});

/// Runs the job and asks it to stop (as SIGTERM would) when its progress text begins with `until`; expects that it does.
void run_until(const std::string& yaml, const TemporaryFolder& folder, const std::string& out, const std::string& until, const JobSettings& settings = {});

/// Runs the job on 1, 2, 3 and 5 ranks (2 threads each beyond 1) and expects equal content hashes of every step; returns the
/// run on one rank.
JobRun run_on_all_rank_counts(const std::string& yaml, const TemporaryFolder& folder);

}  // namespace throng::testing
