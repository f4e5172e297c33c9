#pragma once
#include <string>
#include <vector>

namespace throng {

/// "rank 3", "ranks 0-3, 7"; `ranks` ascending.
inline std::string ranks_text(const std::vector<int>& ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size();) {
    size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    text += (i ? ", " : "") + std::to_string(ranks[i]) + (last > i ? "-" + std::to_string(ranks[last]) : "");
    i = last + 1;
  }
  return (ranks.size() > 1 ? "ranks " : "rank ") + text;
}

}  // namespace throng
