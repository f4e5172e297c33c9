#include "jobs/cli/engine_options.h"

#include <CLI/CLI.hpp>

#include "jobs/cli/job_options.h"

namespace throng::cli {

void EngineOptions::add_to(CLI::App& command) {
  command.add_option("--memory", memory, "memory budget of each rank, such as 4GiB; what does not fit waits on disk, in $TMPDIR (default, and most: 0.8 of the host's limit, shared)");
  command.add_option("--spill-quota", spill_quota, "most that a rank may have in $TMPDIR at once, such as 100GiB (default: the disk)");
  command.add_option("--checkpoint-every", checkpoint_every, "how often a long shuffle, sort or write keeps what it has done in the run directory (default 10m; 0: only when told to stop)");
  command.add_option("--branches", branches, "independent branches of the graph that go on at the same time on each rank, each with a thread of its own and an equal share of --memory (default 1; no more than --threads)")
      ->check(CLI::Range(1, comm::kMostLanes));
  command.add_option("--exchange", exchange, "how shuffled rows travel: 'stream', point to point while rows are made (default), or 'collective', in rounds that all ranks join; results are the same")
      ->check(CLI::IsMember({"stream", "collective"}));
  command.add_flag("!--no-estimate", estimate, "no trial on samples beforehand, which foretells rows and times for the report");
}

void EngineOptions::apply(engine::RunOptions& options) const {
  options.estimate = estimate;
  if (!memory.empty()) options.memory_bytes = bytes_of("--memory", memory);
  if (!spill_quota.empty()) options.spill_quota_bytes = bytes_of("--spill-quota", spill_quota);
  options.checkpoint_every = seconds_of("--checkpoint-every", checkpoint_every);
  options.branches = branches;
  options.exchange = exchange == "stream" ? engine::ExchangeKind::kStream : engine::ExchangeKind::kCollective;
}

std::vector<std::string> EngineOptions::words() const {
  const EngineOptions defaults;
  std::vector<std::string> all;
  auto add = [&](const char* flag, const std::string& value, const std::string& usual) {
    if (value != usual) all.insert(all.end(), {flag, value});
  };
  add("--memory", memory, defaults.memory);
  add("--spill-quota", spill_quota, defaults.spill_quota);
  add("--checkpoint-every", checkpoint_every, defaults.checkpoint_every);
  add("--branches", std::to_string(branches), std::to_string(defaults.branches));
  add("--exchange", exchange, defaults.exchange);
  if (!estimate) all.push_back("--no-estimate");
  return all;
}

}  // namespace throng::cli
