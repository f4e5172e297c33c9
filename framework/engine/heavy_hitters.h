// Which keys hold many of the rows of a shuffle, found while these are sent.
#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "framework/data/batch.h"

namespace throng::engine {

/// A key that holds more than this share of a shuffle's rows, and so many of them, is reported as hot.
inline constexpr double kHotShare = 0.1;
inline constexpr int64_t kHotRows = 10'000;

/// A Misra-Gries summary (Misra and Gries, Finding repeated elements, 1982) of a stream of pieces. A piece is counted by a sample of about a
/// thousand of its rows, one from each of as many stretches of equal length, which stands for its stretch; keys that hold less than a 32nd of
/// a piece, or one row of its sample, are left out. Two summaries are merged as in Agarwal et al., Mergeable summaries (2012): counts of equal
/// keys are added; where more than kCounters are left, the greatest of those too many is taken from all, and who has nothing left is out. Counts
/// are too low by at most a 32nd of the rows, a 65th of them, and the error of the sample.
/// The same rows merged in the same order give the same summary: by piece within a partition, then by partition, whoever owned them.
class HeavyHitters {
 public:
  static constexpr size_t kCounters = 64;
  struct Key {
    std::string text;  ///< for people
    int64_t rows = 0;  ///< about, at most
  };

  HeavyHitters() = default;
  /// Of one piece, whose rows have the hashes `hashes` of their columns `key`. `seed`: of the sample, from the piece's place.
  HeavyHitters(const data::Batch& piece, const std::vector<std::string>& key, std::span<const uint64_t> hashes, uint64_t seed);
  /// Adds what came after.
  void merge(const HeavyHitters& later);
  int64_t num_rows() const { return num_rows_; }
  /// Falling by rows.
  std::vector<Key> keys() const;

  nlohmann::json to_json() const;
  static HeavyHitters from_json(const nlohmann::json& j);

 private:
  int64_t num_rows_ = 0;
  std::map<uint64_t, Key> counters_;  // by hash
};

}  // namespace throng::engine
