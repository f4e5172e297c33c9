// "Did you mean": the nearest known name to one that is not known.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace throng {

/// Returns the known name nearest to `name` by edit distance, or "" when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// Returns "did you mean 'x'? known: a, b, c", or "known: a, b, c" when nothing is near.
std::string suggest(std::string_view name, const std::vector<std::string>& known);

}  // namespace throng
