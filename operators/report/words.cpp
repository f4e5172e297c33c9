// Neighbours of words, and a flat map of the embedding by its two main directions.
#include <algorithm>
#include <cmath>

#include "framework/tensor/vector_kernels.h"
#include "operators/report/findings.h"

namespace throng::op {

using nlohmann::json;

namespace {

constexpr size_t kShownWords = 12, kNeighbours = 6, kMapWords = 120, kSearched = 20'000;
constexpr int kPowerRounds = 60;

// First two principal directions by power iteration with deflation, from a fixed start.
std::vector<std::pair<double, double>> flatten(const std::vector<std::vector<float>>& rows, size_t dim) {
  std::vector<double> mean(dim, 0.0);
  for (const auto& r : rows)
    for (size_t d = 0; d < dim; ++d) mean[d] += double(r[d]) / double(rows.size());
  std::vector<std::vector<double>> directions;
  for (int axis = 0; axis < 2; ++axis) {
    std::vector<double> v(dim);
    for (size_t d = 0; d < dim; ++d) v[d] = 1.0 + 0.01 * double((d * 37 + size_t(axis) * 11) % 17);
    for (int round = 0; round < kPowerRounds; ++round) {
      std::vector<double> next(dim, 0.0);
      for (const auto& r : rows) {
        double s = 0;
        for (size_t d = 0; d < dim; ++d) s += (double(r[d]) - mean[d]) * v[d];
        for (size_t d = 0; d < dim; ++d) next[d] += s * (double(r[d]) - mean[d]);
      }
      for (const auto& before : directions) {
        double s = 0;
        for (size_t d = 0; d < dim; ++d) s += next[d] * before[d];
        for (size_t d = 0; d < dim; ++d) next[d] -= s * before[d];
      }
      double norm = 0;
      for (double x : next) norm += x * x;
      norm = std::sqrt(norm);
      if (norm < 1e-12) break;
      for (size_t d = 0; d < dim; ++d) v[d] = next[d] / norm;
    }
    directions.push_back(v);
  }
  std::vector<std::pair<double, double>> points;
  for (const auto& r : rows) {
    double x = 0, y = 0;
    for (size_t d = 0; d < dim; ++d) x += (double(r[d]) - mean[d]) * directions[0][d], y += (double(r[d]) - mean[d]) * directions[1][d];
    points.emplace_back(x, y);
  }
  return points;
}

}  // namespace

json find_words(graph::CollectiveContext& context, size_t input, const std::vector<std::string>& wanted) {
  if (context.comm().rank() != 0) return nullptr;
  data::Batch words = context.read(input, 0, {});  // one partition, most frequent first
  const size_t n = std::min<size_t>(size_t(words.num_rows()), kSearched);
  const auto& vectors = words.column("vector");
  const size_t dim = n ? size_t(vectors.list_size(0)) : 0;
  std::vector<float> unit(n * dim);
  for (size_t i = 0; i < n; ++i) {
    auto v = vectors.list<float>(int64_t(i));
    float norm = std::sqrt(tensor::dot(v.data(), v.data(), dim));
    for (size_t d = 0; d < dim; ++d) unit[i * dim + d] = norm > 0 ? v[d] / norm : 0;
  }
  std::vector<size_t> asked;
  auto ask = [&](size_t i) {
    if (asked.size() < kShownWords && std::find(asked.begin(), asked.end(), i) == asked.end()) asked.push_back(i);
  };
  for (size_t i = 0; i < n && asked.size() < kShownWords; ++i)
    if (std::find(wanted.begin(), wanted.end(), words.column("word").string(int64_t(i))) != wanted.end()) ask(i);
  for (size_t i = 0; i < n; ++i) ask(i);
  json neighbours = json::array();
  for (size_t i : asked) {
    std::vector<std::pair<float, size_t>> scored;
    for (size_t j = 0; j < n; ++j)
      if (j != i) scored.emplace_back(-tensor::dot(&unit[i * dim], &unit[j * dim], dim), j);
    const size_t keep = std::min(kNeighbours, scored.size());
    std::partial_sort(scored.begin(), scored.begin() + ptrdiff_t(keep), scored.end());
    json near = json::array();
    for (size_t k = 0; k < keep; ++k) near.push_back({std::string(words.column("word").string(int64_t(scored[k].second))), -scored[k].first});
    neighbours.push_back({{"word", std::string(words.column("word").string(int64_t(i)))}, {"near", near}});
  }
  std::vector<std::vector<float>> mapped;
  for (size_t i = 0; i < std::min(n, kMapWords); ++i) mapped.emplace_back(unit.begin() + ptrdiff_t(i * dim), unit.begin() + ptrdiff_t((i + 1) * dim));
  json map = json::array();
  if (!mapped.empty()) {
    auto points = flatten(mapped, dim);
    for (size_t i = 0; i < points.size(); ++i) map.push_back({std::string(words.column("word").string(int64_t(i))), points[i].first, points[i].second});
  }
  return {{"neighbours", neighbours}, {"map", map}, {"total", words.num_rows()}};
}

}  // namespace throng::op
