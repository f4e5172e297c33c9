// Named counts that a step reports: rows dropped and why, unseen values; and the first few rows behind a count.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace throng::graph {

/// A row behind a count: where it stood, and what people are shown of it.
struct Example {
  int64_t partition = 0, row = 0;
  std::string text, place;  ///< place: file and offset, or empty
  bool operator<(const Example& o) const { return std::tie(partition, row) < std::tie(o.partition, o.row); }
};

/// Thread-safe. Summed over ranks at the end of a step.
class Counters {
 public:
  static constexpr size_t kExamples = 3, kExampleBytes = 400;

  void add(const std::string& name, int64_t count) {
    if (count == 0) return;
    std::lock_guard lock(mutex_);
    counts_[name] += count;
  }
  /// True where `add_example` would keep this one: the first rows of the dataset are kept, however many ranks there are.
  bool wants_example(const std::string& name, int64_t partition, int64_t row) const {
    std::lock_guard lock(mutex_);
    auto it = examples_.find(name);
    return it == examples_.end() || it->second.size() < kExamples || Example{partition, row, {}, {}} < it->second.back();
  }
  void add_example(const std::string& name, Example example);
  std::map<std::string, int64_t> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(counts_, {});
  }
  std::map<std::string, std::vector<Example>> take_examples() {
    std::lock_guard lock(mutex_);
    return std::exchange(examples_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> counts_;
  std::map<std::string, std::vector<Example>> examples_;
};

}  // namespace throng::graph
