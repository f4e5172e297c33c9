#include "framework/engine/commit_mark.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string hash_of(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return fmt::format("{:016x}", hash64(text));
}

}  // namespace

CommitMark CommitMark::of(const fs::path& run) {
  RunDirectory directory(run);
  std::vector<std::string> records, stages, checkpoints;
  for (const auto& [id, record] : directory.records()) records.push_back(id + " " + record.key);
  std::error_code code;
  for (auto it = fs::recursive_directory_iterator(run / "steps", code); !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
    const std::string name = it->path().filename().string();
    std::error_code gone;  // a checkpoint may be replaced while we look
    if (name == "checkpoint.json") {
      try {
        const json whole = json::parse(read_file(it->path()));
        stages.push_back(fmt::format("{} {} {}", it->path().string(), whole.at("stage").dump(), whole.at("finished").dump()));
      } catch (const std::exception&) {
        // gone, or not whole: it counts once it is
      }
    } else if (name.starts_with("checkpoint") && name.ends_with(".h5") && it->is_regular_file(gone)) {
      checkpoints.push_back(fmt::format("{} {} {}", it->path().string(), it->file_size(gone), it->last_write_time(gone).time_since_epoch().count()));
    }
  }
  const json state = directory.state();
  return {hash_of(records), hash_of(stages), state.is_object() ? state.value("stopped_at", "") : "", hash_of(checkpoints)};
}

bool CommitMark::same(const CommitMark& before, const CommitMark& after) {
  if (before.records != after.records || before.stages != after.stages) return false;
  const auto names_a_place = [](const std::string& text) { return text.find('(') != text.npos; };
  if (names_a_place(before.stopped_at) && names_a_place(after.stopped_at)) return before.stopped_at == after.stopped_at;
  return before.checkpoints == after.checkpoints;
}

json CommitMark::to_json() const { return {{"records", records}, {"stages", stages}, {"stopped_at", stopped_at}, {"checkpoints", checkpoints}}; }

CommitMark CommitMark::from_json(const json& j) { return {j.at("records"), j.at("stages"), j.at("stopped_at"), j.at("checkpoints")}; }

}  // namespace throng::engine
