// Arrays that train.py hands over: a line of JSON, {"name": [first, count] ..}, then float32 numbers; ids are floats, too.
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "framework/nn/parameters.h"

namespace throng {

class TrainData {
 public:
  explicit TrainData(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string line;
    std::getline(in, line);
    places_ = nlohmann::json::parse(line);
    size_t total = 0;
    for (const auto& [name, place] : places_.items()) total = std::max(total, place[0].get<size_t>() + place[1].get<size_t>());
    numbers_.resize(total);
    in.read(reinterpret_cast<char*>(numbers_.data()), std::streamsize(total * sizeof(float)));
    if (!in) throw std::runtime_error(path + " is too short");
  }
  std::span<const float> floats(const std::string& name) const { return std::span(numbers_).subspan(places_.at(name)[0], places_.at(name)[1]); }
  std::vector<int32_t> ids(const std::string& name) const {
    const auto f = floats(name);
    return std::vector<int32_t>(f.begin(), f.end());
  }
  /// The first weights, by the names of the matrices.
  void copy_weights(const nn::Parameters& parameters, std::span<float> weights) const {
    for (const auto& e : parameters.entries()) {
      const auto from = floats(e.name);
      if (from.size() != e.where.size()) throw std::runtime_error(e.name + ": " + std::to_string(from.size()) + " numbers for " + std::to_string(e.where.size()));
      std::copy(from.begin(), from.end(), weights.begin() + std::ptrdiff_t(e.where.at));
    }
  }

 private:
  nlohmann::json places_;
  std::vector<float> numbers_;
};

/// "64x50x10000" as numbers.
inline std::vector<size_t> shape_of(const std::string& text) {
  std::vector<size_t> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, 'x');) numbers.push_back(std::stoul(part));
  return numbers;
}

}  // namespace throng
