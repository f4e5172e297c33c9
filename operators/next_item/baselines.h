// Recommenders without gradients: popularity and item neighbours. Internal to next_item.
#pragma once
#include "operators/next_item/recommender.h"

namespace throng::op {

class PopularRecommender : public Recommender {
 public:
  explicit PopularRecommender(const Popular& params) : Recommender(params, Popular::kOp) {}

 protected:
  std::unique_ptr<ItemScorer> learn(graph::CollectiveContext& context) override;
  std::unique_ptr<ItemScorer> restore(const std::filesystem::path& folder) override;
};

class ItemKnnRecommender : public Recommender {
 public:
  explicit ItemKnnRecommender(ItemKnn params) : Recommender(params, ItemKnn::kOp), params_(std::move(params)) {}

 protected:
  std::unique_ptr<ItemScorer> learn(graph::CollectiveContext& context) override;
  std::unique_ptr<ItemScorer> restore(const std::filesystem::path& folder) override;

 private:
  ItemKnn params_;
};

}  // namespace throng::op
