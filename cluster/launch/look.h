// What has become of a submission: its own file first, then the process or Slurm.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/submission.h"

namespace throng::launch {

struct Outlook {
  Submission submission;  ///< as last written
  State state = State::kQueued;
  std::string detail;     ///< beside the state: why it waits, that nobody answered
  std::string reason, hint;  ///< where it failed
};

/// Where the file says that it goes on, asks who should know. What Slurm says for good (failed, out of time) is written into the file, since Slurm forgets.
Outlook look(const std::filesystem::path& run);
/// The same of many, with one squeue for all.
std::vector<Outlook> look(const std::vector<std::filesystem::path>& runs);

/// The run directories with a submission under `root`, and in the folders of arrays there; sorted by the time of submission, newest first.
std::vector<std::filesystem::path> submissions_under(const std::filesystem::path& root);

/// The submission that a user means by a run directory, a submission's name or the id of a Slurm job. A job error where there is none.
std::filesystem::path find_submission(const std::string& text, const std::filesystem::path& root);

/// Asks for its end: at a checkpoint where it runs, at once where it waits. Returns what it is now. A system error where Slurm refuses.
Outlook cancel(const std::filesystem::path& run, double wait_seconds);

}  // namespace throng::launch
