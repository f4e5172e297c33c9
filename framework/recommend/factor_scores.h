// Scores that are products of two vectors, a user's and an item's.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/recommend/recommender.h"
#include "framework/tensor/packed.h"

namespace throng::recommend {

/// The vectors of a catalogue's items, and a number for each that is added to its scores. Thread-safe.
class ItemFactors {
 public:
  /// `vectors`, (items, width) row-major, stays; `bias` is empty where there is none. Laid out for products once where these are at most `keep` numbers; else anew by each product, with the same bits.
  ItemFactors(const float* vectors, size_t items, size_t width, std::vector<float> bias, size_t keep = size_t{1} << 24);

  /// The scores of users whose vectors are (users, width).
  std::unique_ptr<ItemScorer::Scores> scores(std::vector<float> users) const;
  size_t width() const { return width_; }

 private:
  class Products;
  tensor::PackedMatrix<float> stretch(size_t s) const;

  const float* vectors_;
  size_t items_, width_;
  std::vector<float> bias_;
  std::vector<tensor::PackedMatrix<float>> kept_;
};

}  // namespace throng::recommend
