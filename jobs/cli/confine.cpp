#include "jobs/cli/confine.h"

#include <algorithm>
#include <filesystem>

#include "framework/base/files.h"

namespace throng::cli {
namespace fs = std::filesystem;
using graph::Value;

namespace {

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [at, end] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return at == root.end() || (std::next(at) == root.end() && at->empty());  // "root/" ends with an empty part
}

// The part of a pattern before its first wildcard, which stands for all that it can find.
fs::path without_wildcards(const fs::path& pattern) {
  fs::path plain;
  for (const auto& part : pattern) {
    if (part.string().find_first_of("*?[") != std::string::npos) break;
    plain /= part;
  }
  return plain;
}

// A folder of its own, so that no result takes the place of what the run directory says of the run.
constexpr const char* kResults = "results";

bool is_result(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.is_relative() && !normal.empty() && *normal.begin() == kResults && std::distance(normal.begin(), normal.end()) > 1;
}

template <class F>
void for_scalars(const Value& v, F&& visit) {
  if (v.kind == Value::Kind::kScalar) visit(v);
  for (const auto& one : v.list) for_scalars(one, visit);
  for (const auto& e : v.map) for_scalars(e.value, visit);
}

}  // namespace

void confine(graph::Job& job, const std::vector<std::string>& roots, graph::Faults& faults) {
  std::vector<fs::path> allowed;
  std::string names;
  for (const auto& root : roots) {
    allowed.push_back(fs::canonical(root));
    names += (names.empty() ? "" : ", ") + root;
  }
  job.folder = allowed[0].string();
  const auto inside = [&](const fs::path& path) {
    const fs::path real = fs::weakly_canonical(path);
    if (std::find(real.begin(), real.end(), ".gateway") != real.end()) return false;  // the gateway's own: tokens and others' jobs
    return std::any_of(allowed.begin(), allowed.end(), [&](const fs::path& root) { return is_below(real, root); });
  };
  const auto check = [&](const graph::Place& place, const std::string& step, const fs::path& path) {
    // As it is written, too: behind a link, .. is another folder.
    bool fine = true;
    for (const fs::path& whole : {allowed[0] / path, (allowed[0] / path).lexically_normal()}) {
      fine = fine && inside(without_wildcards(whole));
      if (fine)  // no link that it finds leads out
        for (const auto& found : expand_glob(whole)) fine = fine && inside(found);
    }
    if (!fine) faults.add(place, fmt::format("step '{}': '{}' is outside the folders that may be read", step, path.string()), "they are: " + names);
  };
  const graph::Graph graph = graph::build_graph(job, faults);
  for (const auto& node : graph.nodes) {
    if (!node.op) continue;
    const auto& step = node.step;
    if (node.op->shape() == graph::Shape::kSource)
      if (const Value* path = step.params.find("path")) for_scalars(*path, [&](const Value& v) { check(v.place, step.id, v.scalar); });
    for (const auto& file : node.op->files()) check(step.place, step.id, file);
    for (const auto& target : node.op->targets())
      if (!is_result(target)) faults.add(step.place, fmt::format("step '{}': '{}' is not below {}/", step.id, target.string(), kResults), fmt::format("write to {}/{}", kResults, target.filename().string()));
  }
  for (const auto& [step, folder] : job.save)
    if (!is_result(folder)) faults.add(job.save_places[step], fmt::format("save: '{}' is not below {}/", folder, kResults), fmt::format("save to {}/{}", kResults, fs::path(folder).filename().string()));
  faults.throw_if_any();
}

}  // namespace throng::cli
