// Wall time for progress and reports; results never depend on it.
#pragma once
#include <chrono>

namespace throng {

/// Seconds since the stopwatch was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace throng
