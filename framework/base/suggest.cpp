#include "framework/base/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace throng {
namespace {

// Optimal string alignment distance: insert, delete, replace, swap of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  std::iota(previous.begin(), previous.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return previous[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const auto& candidate : known) {
    size_t distance = edit_distance(name, candidate);
    if (distance < best_distance && distance < std::max(name.size(), candidate.size()))
      best_distance = distance, best = candidate;
  }
  return best;
}

std::string suggest(std::string_view name, const std::vector<std::string>& known) {
  std::string best = nearest_name(name, known);
  std::string list = fmt::format("known: {}", fmt::join(known, ", "));
  return best.empty() ? list : fmt::format("did you mean '{}'? {}", best, list);
}

}  // namespace throng
