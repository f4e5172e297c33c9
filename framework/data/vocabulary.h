// Distinct values and how often they occur, counted over all ranks, and the numbers they get.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/data/array_store.h"

namespace throng::data {

/// Lets maps keyed by std::string be searched with a string_view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view t) const { return std::hash<std::string_view>{}(t); }
};
template <class V>
using TextMap = std::unordered_map<std::string, V, TextHash, std::equal_to<>>;

struct ValueCount {
  int64_t count = 0;  ///< occurrences
  int64_t rows = 0;   ///< rows it occurs in
};

/// Words numbered by falling count, ties by text: the same on every rank and for every number of ranks.
class Vocabulary {
 public:
  /// Collective. Merges what each rank counted; keeps words with at least `min_count`, at most `max_size` (0: all).
  static Vocabulary build(comm::Communicator& comm, const TextMap<ValueCount>& local, int64_t min_count, int64_t max_size);

  /// Number of the word, or -1.
  int32_t find(std::string_view word) const;
  size_t size() const { return words_.size(); }
  const std::string& word(size_t i) const { return words_[i]; }
  const std::vector<std::string>& words() const { return words_; }
  int64_t count(size_t i) const { return counts_[i].count; }
  int64_t rows(size_t i) const { return counts_[i].rows; }

  void save(ArrayStore& store, const std::string& name) const;
  static Vocabulary load(const ArrayStore& store, const std::string& name);

 private:
  void index();
  std::vector<std::string> words_;
  std::vector<ValueCount> counts_;
  TextMap<int32_t> index_;
};

/// Collective. Sums vectors of doubles over partitions in partition order, so that the result does not depend on ranks.
/// `mine[i]` belongs to partition first + i; all have one length.
std::vector<double> sum_over_partitions(comm::Communicator& comm, const std::vector<std::vector<double>>& mine, size_t length);

}  // namespace throng::data
