#include "framework/engine/run_directory.h"

#include <fstream>

#include "framework/base/clock.h"
#include "framework/base/files.h"

namespace throng::engine {
namespace fs = std::filesystem;
using nlohmann::json;

json StepRecord::to_json() const {
  return {{"id", id},
          {"op", op},
          {"key", key},
          {"rows", rows},
          {"bytes", bytes},
          {"content_hash", content_hash},
          {"seconds", seconds},
          {"bytes_shuffled", bytes_shuffled},
          {"bytes_spilled", bytes_spilled},
          {"peak_memory_bytes", peak_memory_bytes},
          {"nodes", nodes},
          {"metrics", metrics},
          {"outputs", outputs}};
}

StepRecord StepRecord::from_json(const json& j) {
  StepRecord r;
  r.id = j.at("id"), r.op = j.at("op"), r.key = j.at("key"), r.rows = j.at("rows"), r.bytes = j.at("bytes");
  r.content_hash = j.at("content_hash"), r.seconds = j.at("seconds"), r.bytes_shuffled = j.at("bytes_shuffled");
  r.bytes_spilled = j.at("bytes_spilled"), r.peak_memory_bytes = j.at("peak_memory_bytes");
  r.nodes = j.at("nodes"), r.metrics = j.at("metrics"), r.outputs = j.at("outputs");
  return r;
}

std::optional<StepRecord> RunDirectory::record(const std::string& id) const {
  fs::path path = step(id) / "step.json";
  if (!fs::exists(path)) return {};
  try {
    return StepRecord::from_json(json::parse(read_file(path)));
  } catch (const std::exception&) {
    return {};  // an unreadable record means: not finished, run the step again
  }
}

void RunDirectory::write_record(const StepRecord& record) const {
  write_file_atomically(step(record.id) / "step.json", record.to_json().dump(1));
}

void RunDirectory::remove_record(const std::string& id) const {
  std::error_code ignored;
  fs::remove(step(id) / "step.json", ignored);
}

std::map<std::string, StepRecord> RunDirectory::records() const {
  std::map<std::string, StepRecord> all;
  if (!fs::exists(path_ / "steps")) return all;
  for (const auto& entry : fs::directory_iterator(path_ / "steps"))
    if (auto r = record(entry.path().filename().string())) all.emplace(r->id, *r);
  return all;
}

void RunDirectory::write_state(const json& state) const { write_file_atomically(path_ / "state.json", state.dump(1)); }

json RunDirectory::state() const {
  if (!fs::exists(path_ / "state.json")) return nullptr;
  json j = json::parse(read_file(path_ / "state.json"), nullptr, false);
  return j.is_discarded() ? json() : j;
}

void RunDirectory::append_log(const std::string& line) const {
  std::ofstream(path_ / "run.log", std::ios::app) << utc_text() << ' ' << line << '\n';
}

}  // namespace throng::engine
