// Sketches that merge in any order to the same bits, for many groups at once: entries (group, bin, count) in one list.
// Used by aggregation and by operators that count quantiles.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace throng::data {

inline uint64_t join_halves(int32_t low, int32_t high) { return uint64_t(uint32_t(low)) | uint64_t(uint32_t(high)) << 32; }

/// A list that is sorted, and whose equal entries are absorbed into one, whenever it has doubled.
template <class Entry>
struct CompressedEntries {
  std::vector<Entry> list;
  void add(const Entry& e) {
    list.push_back(e);
    if (list.size() >= limit_) {
      compress();
      limit_ = std::max<size_t>(1 << 16, 2 * list.size());
    }
  }
  void compress() {
    std::sort(list.begin(), list.end());
    size_t kept = 0;
    for (size_t i = 0; i < list.size(); ++i) {
      if (kept > 0 && list[kept - 1].same(list[i])) list[kept - 1].absorb(list[i]);
      else list[kept++] = list[i];
    }
    list.resize(kept);
  }
  /// Calls visit(entries of the group) for groups 0 to num_groups - 1, in order.
  template <class Visit>
  void for_each_group(size_t num_groups, const Visit& visit) {
    compress();
    size_t at = 0;
    for (uint32_t g = 0; g < num_groups; ++g) {
      size_t end = at;
      while (end < list.size() && list[end].group == g) ++end;
      visit(std::span<const Entry>(list).subspan(at, end - at));
      at = end;
    }
  }

 private:
  size_t limit_ = 1 << 16;
};

/// HyperLogLog with 2^12 registers (Flajolet et al., 2007), small counts by linear counting.
struct HyperLogLog {
  static constexpr int kBits = 12;
  static constexpr size_t kRegisters = size_t{1} << kBits;
  struct Entry {
    uint32_t group;
    int32_t index, rank;
    bool operator<(const Entry& o) const { return group != o.group ? group < o.group : index < o.index; }
    bool same(const Entry& o) const { return group == o.group && index == o.index; }
    void absorb(const Entry& o) { rank = std::max(rank, o.rank); }
  };
  static Entry entry(uint32_t group, uint64_t hash) { return {group, int32_t(hash >> (64 - kBits)), std::countl_zero(hash << kBits | (uint64_t{1} << (kBits - 1))) + 1}; }
  static int32_t pack(const Entry& e) { return e.index << 6 | e.rank; }
  static Entry unpack(uint32_t group, int32_t packed) { return {group, packed >> 6, packed & 63}; }
  /// From the registers that are not zero.
  static int64_t estimate(std::span<const Entry> set) {
    const double m = double(kRegisters), zeros = m - double(set.size());
    double sum = zeros;
    for (const auto& e : set) sum += std::ldexp(1.0, -e.rank);
    double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (raw <= 2.5 * m && zeros > 0) raw = m * std::log(m / zeros);
    return std::llround(raw);
  }
};

/// DDSketch (Masson, Rim and Lee, VLDB 2019) with 1 % relative error; bins are numbered in order of value.
struct DdSketch {
  static constexpr double kGamma = 1.02;  // (1 + a) / (1 - a) with a just below 0.01
  static constexpr int32_t kOffset = 100'000;
  struct Entry {
    uint32_t group;
    int32_t bin;
    int64_t count;
    bool operator<(const Entry& o) const { return group != o.group ? group < o.group : bin < o.bin; }
    bool same(const Entry& o) const { return group == o.group && bin == o.bin; }
    void absorb(const Entry& o) { count += o.count; }
  };
  static int32_t bin(double v) {
    const double magnitude = std::fabs(v);
    if (magnitude < 1e-300) return 0;
    const int32_t b = int32_t(std::ceil(std::log(std::min(magnitude, 1e300)) / std::log(kGamma))) + kOffset;
    return v < 0 ? -b : b;
  }
  static double value(int32_t bin) {
    if (bin == 0) return 0;
    const double magnitude = 2 * std::pow(kGamma, std::abs(bin) - kOffset) / (kGamma + 1);
    return bin < 0 ? -magnitude : magnitude;
  }
  /// `bins` ascend and are not empty.
  static double quantile(std::span<const Entry> bins, double q) {
    int64_t total = 0, seen = 0;
    for (const auto& e : bins) total += e.count;
    const double rank = q * double(total - 1);
    for (const auto& e : bins) {
      seen += e.count;
      if (double(seen) > rank) return value(e.bin);
    }
    return value(bins.back().bin);
  }
};

}  // namespace throng::data
