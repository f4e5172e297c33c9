// Wall time for progress and reports; results never depend on it.
#pragma once
#include <chrono>
#include <string>

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

/// Now, as 2026-01-31T12:00:00Z: for logs and state files.
std::string utc_text();

}  // namespace throng
