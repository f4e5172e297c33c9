// A run that was handed to a launcher: what was asked for and what became of it. RUN/submission.json is the truth; Slurm is asked second.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/site.h"
#include "framework/base/error.h"

namespace throng::launch {

/// What a run shall get.
struct Request {
  std::string launcher = "local";  ///< local, hosts or slurm
  int nodes = 1, ranks_per_node = 1, threads = 1;
  double seconds = 0;             ///< wall-clock limit of one allocation; 0: none, or the partition's
  uint64_t memory_of_node = 0;    ///< bytes; 0: not said
  int signal_seconds = 300;       ///< how long before the limit the ranks are told to stop
  int max_requeues = 20;
  std::string hosts, hostfile, mpi_args;  ///< see LocalOptions
  std::string partition, account, qos;    ///< of the command line; empty: the site's
  std::string after;                      ///< run directory of the submission that must be done first
  std::string after_id;                   ///< or a Slurm job of another kind
  Site site;
  std::vector<std::string> run;           ///< what `throng run` gets after the job file
  int num_ranks() const { return nodes * ranks_per_node; }
};

/// One go at it: from the start of the ranks to their end.
struct Allocation {
  std::string id, nodes;        ///< Slurm's job and hosts; the process and this host
  std::string started, ended;   ///< UTC
  std::string outcome;          ///< running, done, stopped, killed, failed
  nlohmann::json kept_before, kept_after;  ///< engine::CommitMark
};

enum class State { kQueued, kRunning, kStopped, kDone, kFailed, kCancelled };
std::string state_name(State state);
inline bool is_over(State state) { return state == State::kDone || state == State::kFailed || state == State::kCancelled || state == State::kStopped; }

struct Submission {
  std::string name;   ///< unique: Slurm's job name
  std::filesystem::path run;  ///< absolute
  std::string job;    ///< the job's name
  Request request;
  State state = State::kQueued;
  std::string id;     ///< Slurm's job id (with an array's index), or "host:pid:start" of the process that sees to it
  std::string script;  ///< of Slurm, an array's for all
  std::string submitted;
  int requeues = 0;
  std::vector<Allocation> allocations;
  std::string reason, hint;  ///< of a failure
  int code = 0;              ///< the run's exit code

  nlohmann::json to_json() const;
  static Submission from_json(const nlohmann::json& j);

  /// Nothing where the folder holds no submission; a system error where its file is damaged.
  static std::optional<Submission> read(const std::filesystem::path& run);
  /// Reads, changes and writes under a lock on the folder, so that two programs do not undo each other's change. A job error where there is no submission.
  static Submission update(const std::filesystem::path& run, const std::function<void(Submission&)>& change);
  /// Writes it where the folder still holds `before`; a job error where another command was quicker.
  void put(const std::optional<Submission>& before) const;
  void write() const;
};

/// The wish to end a submission: a file of its own, so that it is not lost between two writers of submission.json.
void wish_to_cancel(const std::filesystem::path& run);
bool cancel_wished(const std::filesystem::path& run);
void forget_cancel(const std::filesystem::path& run);

/// Where the batch script's output goes: what `throng logs` shows.
std::filesystem::path log_of(const std::filesystem::path& run);

}  // namespace throng::launch
