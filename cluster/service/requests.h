// What users may ask of runs, and the words of the verbs that it becomes.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace throng::service {

/// What is offered, and where.
struct RunsOptions {
  std::filesystem::path root;             ///< run directories are below it, by the runs' ids
  std::string program;                    ///< this one, whose verbs plan and submit
  std::vector<std::string> data_roots;    ///< what jobs may read, apart from earlier runs
  std::vector<std::string> launchers = {"local"};  ///< that users may ask for; the first is meant where none is named
  std::string site;                       ///< site profile; empty: the default one
  int at_once = 1;                        ///< runs on this machine at the same time
  int most_workers = 0;                   ///< of a run on this machine, ranks times threads; 0: as many as it has processors
};

/// Why a request cannot be had: an HTTP status, and JSON with `error` and, for a job file, `faults` with their places.
struct Refusal {
  int status;
  nlohmann::json body;
};
[[noreturn]] void refuse(int status, const std::string& error);

/// The flags of a request.
struct Words {
  std::vector<std::string> job, submit;  ///< for plan and submit, and for submit alone
};
/// Refuses a request of another shape, and what is not offered.
Words words_of(const nlohmann::json& request, const RunsOptions& options);
std::string launcher_of(const nlohmann::json& request, const RunsOptions& options);

/// The text of a failed verb without this program's name, and its faults with their places in the job file.
nlohmann::json faults_of(std::string text, const std::string& file);

}  // namespace throng::service
