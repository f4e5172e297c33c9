// Measures of predictions, from counts and sums. Internal to evaluate.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace throng::op {

struct Measure {
  std::string name, of_class;
  double value = 0, low = 0, high = 0;
  bool of_all = true;  ///< not of one class
};

/// (actual, predicted) -> rows.
using Confusion = std::map<std::pair<std::string, std::string>, int64_t>;
/// score -> rows of the negative and of the positive class.
using ScoreCounts = std::map<double, std::pair<int64_t, int64_t>>;

/// Accuracy, precision, recall and F1. A data error where intervals would take more than half a GiB. Intervals from `bootstrap` samples; without any, low and high are the value.
std::vector<Measure> classification(const Confusion& confusion, int64_t bootstrap, uint64_t seed);
/// The area under the curve of true against false positives; nan where a class is missing.
Measure area_under_curve(const ScoreCounts& scores, bool interval);
/// A mean of n rows and its interval, from sums of values and squares.
Measure mean(const std::string& name, double n, double sum, double squares, bool interval);

}  // namespace throng::op
