// What is asked of Slurm: a batch script, sbatch, what became of a job, scancel.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/submission.h"

namespace throng::launch {

/// The batch script of one submission, or of an array of them: `runs` are the run directories, numbered from 1 in an array. `program`: throng's path.
std::string batch_script(const Submission& submission, const std::vector<std::filesystem::path>& runs, const std::filesystem::path& folder, const std::string& program, int at_once = 0);

/// Slurm's form: 90 minutes are 0-01:30:00; rounded up to a second.
std::string slurm_time(double seconds);

/// Hands the script to sbatch and returns the job's id. One that gave no answer in time is looked for by its name. A system error with
/// sbatch's reason where there is no such job.
std::string submit_to_slurm(const std::filesystem::path& script, const std::string& name, const std::vector<std::string>& flags = {});

/// What Slurm says of a job.
struct SlurmJob {
  enum class Known { kNoAnswer, kGone, kWaiting, kRunning, kEnded };
  Known known = Known::kNoAnswer;
  std::string state;   ///< Slurm's word: PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, CANCELLED ...
  std::string reason;  ///< why it waits or ended
  std::string exit_code, nodes;
  std::string trouble;  ///< why there was no answer
  /// For people: what ended it, as far as Slurm says.
  std::string why() const;
};
/// squeue, then scontrol (which knows a job for some minutes after its end), then sacct. Gone is a job of which squeue says that there is none; an empty
/// answer is no answer.
SlurmJob look_at_slurm(const std::string& id);
/// Of those that wait or run: by id. One squeue for all; the others are not in it.
std::map<std::string, SlurmJob> slurm_queue(const std::vector<std::string>& ids);
/// The same from the outputs, for tests.
SlurmJob slurm_job_of_squeue(const std::string& output);
SlurmJob slurm_job_of_scontrol(const std::string& output);
SlurmJob slurm_job_of_sacct(const std::string& output);

/// Seconds until the running job's limit; infinite where it has none; nothing where Slurm does not say.
std::optional<double> seconds_left(const std::string& id);
/// Slurm's D-HH:MM:SS, HH:MM:SS or MM:SS, or UNLIMITED.
std::optional<double> seconds_of_slurm(const std::string& text);
/// True where the running job is being ended since its time is up, or for another job; false where a person or a failure ends it; nothing where Slurm does not say.
std::optional<bool> ended_by_slurm(const std::string& id);

/// Puts the running job back into the queue. Empty, or why it could not. The job's processes get TERM before this returns.
std::string requeue(const std::string& id);
/// True where such a trouble may pass: the controller was not reached, or did not answer.
bool is_no_answer(const std::string& trouble);

/// Sends USR1 to the job's batch process alone. Empty, or why it could not.
std::string warn_job(const std::string& id);
/// Empty, or why it could not; a job that is not there any more is no trouble.
std::string scancel(const std::string& id);

}  // namespace throng::launch
