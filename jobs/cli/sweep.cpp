#include "jobs/cli/sweep.h"

#include "framework/base/error.h"

namespace throng::cli {

std::vector<std::string> alternatives(const std::string& text) {
  std::vector<std::string> found(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      found.emplace_back();
      continue;
    }
    found.back() += c;
  }
  return found;
}

std::vector<std::vector<std::string>> sweep_of(const std::vector<std::string>& set) {
  constexpr size_t kMost = 10000;
  std::vector<std::vector<std::string>> runs(1);
  for (const auto& one : set) {
    const size_t equals = one.find('=');
    if (equals == one.npos) throw job_error("--set {}: expected step.param=value", one);
    const auto values = alternatives(one.substr(equals + 1));
    if (runs.size() * values.size() > kMost) throw job_error("--array: more than {} runs", kMost).with_hint("give fewer values, or several arrays");
    std::vector<std::vector<std::string>> more;
    for (const auto& run : runs)
      for (const auto& value : values) {
        if (value.empty()) throw job_error("--set {}: a value is empty", one);
        more.push_back(run);
        more.back().push_back(one.substr(0, equals + 1) + value);
      }
    runs = std::move(more);
  }
  return runs;
}

}  // namespace throng::cli
