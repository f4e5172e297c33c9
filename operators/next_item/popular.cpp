#include <algorithm>

#include "operators/next_item/baselines.h"

namespace throng::op {

using namespace recommend;
namespace {

class Popularity : public ItemScorer {
 public:
  explicit Popularity(const data::Vocabulary& catalogue) {
    for (size_t i = 0; i < catalogue.size(); ++i) counts_.push_back(float(catalogue.count(i)));
  }
  std::unique_ptr<Scores> scores_of(std::span<const Asked> users) const override { return std::make_unique<OfAll>(counts_, users.size()); }

 private:
  class OfAll : public Scores {
   public:
    OfAll(const std::vector<float>& counts, size_t users) : counts_(counts), users_(users) {}
    void get(size_t first, size_t count, float* into) const override {
      for (size_t u = 0; u < users_; ++u) std::copy_n(&counts_[first], count, into + u * count);
    }
    float one(size_t, int32_t item) const override { return counts_[size_t(item)]; }

   private:
    const std::vector<float>& counts_;
    size_t users_;
  };
  std::vector<float> counts_;
};

}  // namespace

std::unique_ptr<ItemScorer> PopularRecommender::learn(graph::CollectiveContext& context) {
  save_catalogue(context);
  return std::make_unique<Popularity>(catalogue());
}

std::unique_ptr<ItemScorer> PopularRecommender::restore(const std::filesystem::path&) { return std::make_unique<Popularity>(catalogue()); }

}  // namespace throng::op
