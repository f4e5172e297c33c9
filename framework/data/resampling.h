// Bootstrap samples of rows of which only counts are kept (Efron, 1979).
#pragma once
#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace throng::data {

/// How often each kind of row comes up in a sample, with replacement, of as many rows as there are: binomials, one kind after another.
inline std::vector<int64_t> resample(std::span<const int64_t> counts, std::mt19937_64& random) {
  int64_t population = 0;
  for (int64_t n : counts) population += n;
  std::vector<int64_t> drawn;
  int64_t left = population;
  for (int64_t n : counts) {
    drawn.push_back(left == 0 ? 0 : n == population ? left : std::binomial_distribution<int64_t>(left, double(n) / double(population))(random));
    left -= drawn.back(), population -= n;
  }
  return drawn;
}

/// The middle 95 % of bootstrapped values: {2.5th, 97.5th percentile}. There must be some.
inline std::pair<double, double> interval95(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) { return values[size_t(share * double(values.size() - 1) + 0.5)]; };
  return {at(0.025), at(0.975)};
}

}  // namespace throng::data
