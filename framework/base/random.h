// Counter-based random numbers: the value depends on (seed, stream, counter) only, never on rank, thread or time.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace throng {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A stream of random numbers for one (seed, stream, substream). Cheap to make: make one per row or sample.
/// Not shared between threads.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream, uint64_t substream = 0)
      : key_{uint32_t(seed), uint32_t(seed >> 32)},
        counter_{0, uint32_t(substream), uint32_t(stream), uint32_t(stream >> 32) ^ uint32_t(substream >> 32)} {}

  uint32_t next() {
    if (used_ == 4) {
      block_ = philox(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }
  uint64_t next64() {
    uint64_t high = next();
    return high << 32 | next();
  }
  /// Uniform in [0, 1).
  float uniform_float() { return float(next() >> 8) * 0x1p-24f; }
  double uniform() { return double(next64() >> 11) * 0x1p-53; }
  /// Uniform in [0, n), n > 0; bias below 2^-32 for n < 2^32 (Lemire's multiply).
  uint32_t below(uint32_t n) { return uint32_t(uint64_t{next()} * n >> 32); }
  /// Standard normal (Box and Muller).
  double normal() {
    double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace throng
