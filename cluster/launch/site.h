// What is particular to one cluster: a site profile.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace throng::launch {

struct Site {
  std::string partition, account, qos, constraint;   ///< where the command line names none
  std::vector<std::string> directives;               ///< further ones of sbatch, such as "--exclusive"
  std::vector<std::string> leave_out;                ///< directives that this site refuses, such as mem or requeue
  std::vector<std::string> modules;                  ///< of `module load`
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> setup;                    ///< shell lines before the run
  std::string start = "mpirun";                      ///< or srun
  std::string mpi = "pmix";                          ///< of srun --mpi
  std::string mpi_args;                              ///< further words for mpirun or srun
  std::string requeue = "requeue";                   ///< scontrol requeue; dependent: another job goes on; never

  bool leaves_out(const std::string& directive) const;
  nlohmann::json to_json() const;
  static Site from_json(const nlohmann::json& j);
};

}  // namespace throng::launch
