// Named counts that a step reports: rows dropped and why, unseen values.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace throng::graph {

/// Thread-safe. Summed over ranks at the end of a step.
class Counters {
 public:
  void add(const std::string& name, int64_t count) {
    if (count == 0) return;
    std::lock_guard lock(mutex_);
    counts_[name] += count;
  }
  std::map<std::string, int64_t> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(counts_, {});
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int64_t> counts_;
};

}  // namespace throng::graph
