// Numbers that PyTorch computed, by name: the files that tests/support/make_torch_fixture.py writes.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace throng::testing {

class TorchNumbers {
 public:
  /// `file` lies in tests/learning.
  explicit TorchNumbers(const std::string& file) {
    std::ifstream in(std::string(THRONG_SOURCE_DIR "/tests/learning/") + file);
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      std::string name;
      size_t n = 0;
      words >> name >> n;
      auto& v = numbers_[name];
      for (double x = 0; words >> x;) v.push_back(x);
      EXPECT_EQ(v.size(), n) << name;
    }
    EXPECT_FALSE(numbers_.empty()) << file;
  }
  const std::vector<double>& at(const std::string& name) const { return numbers_.at(name); }
  bool has(const std::string& name) const { return numbers_.count(name) > 0; }
  template <class T>
  std::vector<T> as(const std::string& name) const {
    const auto& v = at(name);
    return std::vector<T>(v.begin(), v.end());
  }
  /// What stands behind `prefix` in the names that begin with it.
  std::vector<std::string> below(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& [name, v] : numbers_)
      if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
    return names;
  }

 private:
  std::map<std::string, std::vector<double>> numbers_;
};

/// Equal within `tolerance`, relative, of numbers below 0.1 absolute to that.
template <class T>
void expect_close(const std::vector<T>& got, const std::vector<double>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(double(got[i]), expected[i], tolerance * std::max(0.1, std::fabs(expected[i]))) << what << " at " << i;
}

}  // namespace throng::testing
