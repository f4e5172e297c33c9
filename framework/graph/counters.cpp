#include "framework/graph/counters.h"

#include <algorithm>

namespace throng::graph {

void Counters::add_example(const std::string& name, Example example) {
  if (example.text.size() > kExampleBytes) {  // at the end of a character
    size_t end = kExampleBytes;
    while (end > 0 && (static_cast<unsigned char>(example.text[end]) & 0xc0) == 0x80) --end;
    example.text.resize(end);
  }
  std::lock_guard lock(mutex_);
  auto& kept = examples_[name];
  kept.insert(std::upper_bound(kept.begin(), kept.end(), example), std::move(example));
  if (kept.size() > kExamples) kept.pop_back();
}

}  // namespace throng::graph
