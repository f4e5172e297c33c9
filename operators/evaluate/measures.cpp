#include "operators/evaluate/measures.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/data/resampling.h"

namespace throng::op {
namespace {

// Rows right, foretold and there, by class.
struct Classes {
  std::map<std::string, size_t> number;
  std::vector<size_t> actual, predicted;  // of each cell
  explicit Classes(const Confusion& confusion) {
    for (const auto& [cell, n] : confusion) number[cell.first], number[cell.second];
    size_t i = 0;
    for (auto& [name, k] : number) k = i++;
    for (const auto& [cell, n] : confusion) actual.push_back(number.at(cell.first)), predicted.push_back(number.at(cell.second));
  }
  // Accuracy and the means, then precision, recall and F1 of each class.
  std::vector<double> measures(std::span<const int64_t> cells) const {
    const size_t K = number.size();
    std::vector<double> right(K), foretold(K), there(K);
    double all = 0, hits = 0;
    for (size_t i = 0; i < cells.size(); ++i) {
      const double n = double(cells[i]);
      all += n, there[actual[i]] += n, foretold[predicted[i]] += n;
      if (actual[i] == predicted[i]) hits += n, right[actual[i]] += n;
    }
    auto ratio = [](double a, double b) { return b > 0 ? a / b : 0; };
    std::vector<double> result{ratio(hits, all)};
    std::vector<double> of_classes;
    double macro[3] = {}, weighted[3] = {};
    for (size_t k = 0; k < K; ++k) {
      const double m[3] = {ratio(right[k], foretold[k]), ratio(right[k], there[k]), ratio(2 * right[k], foretold[k] + there[k])};
      for (int j = 0; j < 3; ++j) of_classes.push_back(m[j]), macro[j] += m[j] / double(K), weighted[j] += ratio(m[j] * there[k], all);
    }
    for (const auto& means : {macro, weighted}) result.insert(result.end(), means, means + 3);
    // Each row has one class and one prediction, so that micro means are the accuracy.
    result.insert(result.end(), 3, result[0]);
    result.insert(result.end(), of_classes.begin(), of_classes.end());
    return result;
  }
};

}  // namespace

std::vector<Measure> classification(const Confusion& confusion, int64_t bootstrap, uint64_t seed) {
  const Classes classes(confusion);
  std::vector<int64_t> cells;
  for (const auto& [cell, n] : confusion) cells.push_back(n);
  std::vector<Measure> result;
  static const char* const kNames[] = {"precision", "recall", "f1"};
  result.push_back({"accuracy", "", 0, 0, 0});
  for (const char* kind : {"macro", "weighted", "micro"})
    for (const char* name : kNames) result.push_back({std::string(name) + "_" + kind, "", 0, 0, 0});
  for (const auto& [name, k] : classes.number)
    for (const char* measure : kNames) result.push_back({measure, name, 0, 0, 0, false});
  const auto values = classes.measures(cells);
  if (double(values.size()) * double(bootstrap) > 0x1p26) throw data_error("intervals of {} classes by {} bootstrap samples would take more than half a GiB", classes.number.size(), bootstrap).with_hint("lower 'bootstrap'");
  std::vector<std::vector<double>> samples(values.size());
  std::mt19937_64 random(seed);
  for (int64_t b = 0; b < bootstrap; ++b) {
    const auto sample = classes.measures(data::resample(cells, random));
    for (size_t i = 0; i < sample.size(); ++i) samples[i].push_back(sample[i]);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    result[i].value = result[i].low = result[i].high = values[i];
    if (bootstrap > 0) std::tie(result[i].low, result[i].high) = data::interval95(std::move(samples[i]));
  }
  return result;
}

// A positive's share of negatives below it (ties half), and a negative's of positives above it: their means are the area, their variances its own (DeLong et al., 1988).
Measure area_under_curve(const ScoreCounts& scores, bool interval) {
  double negatives = 0, positives = 0;
  for (const auto& [score, n] : scores) negatives += double(n.first), positives += double(n.second);
  if (negatives == 0 || positives == 0) return {"auc", "", std::nan(""), std::nan(""), std::nan("")};
  double below = 0, area = 0;
  for (const auto& [score, n] : scores) {
    area += double(n.second) * (below + 0.5 * double(n.first));
    below += double(n.first);
  }
  area /= negatives * positives;
  double of_positives = 0, of_negatives = 0, negatives_below = 0, positives_below = 0;
  for (const auto& [score, n] : scores) {
    const double up = (negatives_below + 0.5 * double(n.first)) / negatives, down = (positives - positives_below - 0.5 * double(n.second)) / positives;
    of_positives += double(n.second) * (up - area) * (up - area), of_negatives += double(n.first) * (down - area) * (down - area);
    negatives_below += double(n.first), positives_below += double(n.second);
  }
  const double variance = of_positives / std::max(1.0, positives - 1) / positives + of_negatives / std::max(1.0, negatives - 1) / negatives;
  const double half = interval ? 1.959964 * std::sqrt(variance) : 0;
  return {"auc", "", area, std::max(0.0, area - half), std::min(1.0, area + half)};
}

Measure mean(const std::string& name, double n, double sum, double squares, bool interval) {
  const double value = sum / n, variance = n > 1 ? std::max(0.0, squares / n - value * value) / (n - 1) : 0, half = interval ? 1.959964 * std::sqrt(variance) : 0;
  return {name, "", value, value - half, value + half};
}

}  // namespace throng::op
