// Bootstrap samples (Efron, 1979): of rows of which only counts are kept, and of groups that are seen one after another.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "framework/base/random.h"

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

/// A number from 0 on that a Poisson variable of mean 1 takes, by a uniform one.
inline int poisson(double uniform) {
  double below = std::exp(-1.0), term = below;
  int n = 0;
  while (uniform >= below && n < 12) term /= ++n, below += term;
  return n;
}

/// Poisson bootstrap (Chamandy et al., 2012), for what nobody holds all of: each group is in each sample as often as a Poisson variable of mean 1 says. Adds a group's numbers to the
/// sums of all samples, sample after sample in `sums`; `random` is the group's own, so that it does not matter who adds it.
inline void add_to_samples(std::span<const double> of_group, Random random, std::span<double> sums) {
  for (size_t at = 0; at < sums.size(); at += of_group.size()) {
    const double times = poisson(double(random.next()) * 0x1p-32);
    for (size_t k = 0; k < of_group.size(); ++k) sums[at + k] += times * of_group[k];
  }
}

/// The middle 95 % of bootstrapped values: {2.5th, 97.5th percentile}. There must be some.
inline std::pair<double, double> interval95(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) { return values[size_t(share * double(values.size() - 1) + 0.5)]; };
  return {at(0.025), at(0.975)};
}

}  // namespace throng::data
