// The run directory: job file, plan, state.json, log, and per step its datasets, learned state and record.
#pragma once
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace throng::engine {

/// What is kept of a finished task, in steps/ID/step.json; its presence says that the task is finished.
struct StepRecord {
  std::string id, op, key;
  int64_t rows = 0;
  uint64_t bytes = 0;
  std::string content_hash;
  double seconds = 0;
  uint64_t bytes_shuffled = 0, bytes_spilled = 0, peak_memory_bytes = 0;
  nlohmann::json nodes = nlohmann::json::object();    ///< step id -> {rows, seconds, counters}, fused steps too
  nlohmann::json metrics = nlohmann::json::object();  ///< what the operator reported
  nlohmann::json outputs = nlohmann::json::object();  ///< named outputs -> {rows, content_hash}
  nlohmann::json to_json() const;
  static StepRecord from_json(const nlohmann::json& j);
};

/// Paths and records of one run. Writing is rank 0's.
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path step(const std::string& id) const { return path_ / "steps" / id; }
  /// The dataset of a step's output; "" is the main one.
  std::filesystem::path dataset(const std::string& id, const std::string& output = "") const {
    return step(id) / (output.empty() ? "data" : output);
  }
  std::filesystem::path state(const std::string& id) const { return step(id) / "state"; }

  /// The record of a finished step; nullopt when there is none or it is damaged.
  std::optional<StepRecord> record(const std::string& id) const;
  void write_record(const StepRecord& record) const;
  void remove_record(const std::string& id) const;
  /// All records, by step id.
  std::map<std::string, StepRecord> records() const;

  /// state.json: what the run is doing; rewritten atomically.
  void write_state(const nlohmann::json& state) const;
  nlohmann::json state() const;
  void append_log(const std::string& line) const;

 private:
  std::filesystem::path path_;
};

}  // namespace throng::engine
