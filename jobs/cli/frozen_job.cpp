#include "jobs/cli/frozen_job.h"

#include <map>
#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/units.h"

namespace throng::cli {
namespace fs = std::filesystem;
using graph::Value;
using nlohmann::json;

namespace {

constexpr uint64_t kSmallBytes = 64 << 20;

// YAML takes JSON.
json as_json(const Value& v) {
  json out;
  switch (v.kind) {
    case Value::Kind::kNull: break;
    case Value::Kind::kScalar: out = v.scalar; break;
    case Value::Kind::kList:
      out = json::array();
      for (const auto& one : v.list) out.push_back(as_json(one));
      break;
    case Value::Kind::kMap:
      out = json::object();
      for (const auto& e : v.map) out[e.key] = as_json(e.value);
      break;
  }
  return out;
}

// Replaces scalars that `other` gives another text for. True where any was.
template <class F>
bool replace(Value& v, const F& other) {
  bool any = false;
  if (v.kind == Value::Kind::kScalar)
    if (auto text = other(v.scalar); !text.empty() && text != v.scalar) v.scalar = text, any = true;
  for (auto& one : v.list) any = replace(one, other) || any;
  for (auto& e : v.map) any = replace(e.value, other) || any;
  return any;
}

}  // namespace

FrozenJob freeze(const graph::Job& job, const graph::Graph& graph, const fs::path& run) {
  FrozenJob frozen;
  const fs::path folder = fs::absolute(job.folder.empty() ? "." : job.folder);
  auto absolute = [&](const fs::path& path) { return (folder / path).lexically_normal(); };
  for (const auto& step : job.steps) {
    const int at = graph.find(step.id);
    if (at < 0) continue;
    const auto& node = graph.nodes[size_t(at)];
    const bool source = node.op && node.op->shape() == graph::Shape::kSource;
    std::map<std::string, std::string> place;  // of a file: where its copy, or it, lies
    if (!source && node.op) {
      for (const auto& file : node.op->files()) {
        const fs::path from = fs::absolute(file).lexically_normal();
        std::error_code code;
        const auto bytes = fs::file_size(from, code);
        if (code || bytes > kSmallBytes) {
          frozen.warnings.push_back(fmt::format("step '{}': {} has {} and is not copied; leave it as it is until the run is done", step.id, from.string(), code ? "an unknown size" : format_bytes(bytes)));
          place[from.string()] = from.string();
          continue;
        }
        const fs::path to = run / "submission.files" / fmt::format("{}-{}-{}", step.id, frozen.copies.size() + 1, from.filename().string());
        place[from.string()] = to.string();
        frozen.copies.emplace_back(from, to);
      }
    }
    for (const auto& entry : step.params.map) {
      Value value = entry.value;
      const bool changed = source ? entry.key == "path" && replace(value, [&](const std::string& text) { return text.empty() ? text : absolute(text).string(); })
                                  : replace(value, [&](const std::string& text) {
                                      auto found = text.empty() ? place.end() : place.find(absolute(text).string());
                                      return found == place.end() ? std::string() : found->second;
                                    });
      if (changed) frozen.overrides.push_back(fmt::format("{}.{}={}", step.id, entry.key, as_json(value).dump()));
    }
  }
  return frozen;
}

void FrozenJob::write(const graph::Job& job, const fs::path& run) const {
  make_folder(run);
  for (const auto& [from, to] : copies) {
    make_folder(to.parent_path());
    write_file_atomically(to, read_file(from));
  }
  write_file_atomically(run / "job.yaml", job.text);
}

}  // namespace throng::cli
