#include "framework/recommend/factor_scores.h"

#include <algorithm>

namespace throng::recommend {

using tensor::PackedMatrix;
using tensor::Side;

class ItemFactors::Products : public ItemScorer::Scores {
 public:
  Products(const ItemFactors& items, std::vector<float> users) : items_(items), users_(std::move(users)) {}

  // The bits of a product do not depend on what else is multiplied (PackedMatrix).
  void get(size_t first, size_t count, float* into) const override {
    const size_t s = first / ItemScorer::kStretch, users = users_.size() / items_.width_;
    const float* bias = items_.bias_.data() + first;
    THRONG_CHECK(first % ItemScorer::kStretch == 0 && count == std::min(ItemScorer::kStretch, items_.items_ - first), "scores of items {} to {}", first, first + count);
    if (!items_.kept_.empty()) items_.kept_[s].multiply(users, users_.data(), bias, into);
    else items_.stretch(s).multiply(users, users_.data(), bias, into);
  }
  float one(size_t user, int32_t item) const override {
    const PackedMatrix<float> alone(Side::kTransposed, items_.width_, 1, items_.vectors_ + size_t(item) * items_.width_);
    float score;
    alone.multiply(1, &users_[user * items_.width_], &items_.bias_[size_t(item)], &score);
    return score;
  }

 private:
  const ItemFactors& items_;
  std::vector<float> users_;
};

ItemFactors::ItemFactors(const float* vectors, size_t items, size_t width, std::vector<float> bias, size_t keep) : vectors_(vectors), items_(items), width_(width), bias_(std::move(bias)) {
  bias_.resize(items, 0.0f);
  if (items * width > keep) return;
  for (size_t s = 0; s * ItemScorer::kStretch < items; ++s) kept_.push_back(stretch(s));
}

PackedMatrix<float> ItemFactors::stretch(size_t s) const {
  const size_t first = s * ItemScorer::kStretch;
  return {Side::kTransposed, width_, std::min(ItemScorer::kStretch, items_ - first), vectors_ + first * width_};
}

std::unique_ptr<ItemScorer::Scores> ItemFactors::scores(std::vector<float> users) const { return std::make_unique<Products>(*this, std::move(users)); }

}  // namespace throng::recommend
