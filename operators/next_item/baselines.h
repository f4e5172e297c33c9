// Recommenders without gradients: popularity and item neighbours. Internal to next_item.
#pragma once
#include "framework/recommend/recommender.h"
#include "operators/next_item/next_item.h"

namespace throng::op {

class PopularRecommender : public recommend::Recommender {
 public:
  explicit PopularRecommender(const Popular& params) : recommend::Recommender(params, Popular::kOp) {}

 protected:
  std::unique_ptr<recommend::ItemScorer> learn(graph::CollectiveContext& context) override;
  std::unique_ptr<recommend::ItemScorer> restore(const std::filesystem::path& folder) override;
};

class ItemKnnRecommender : public recommend::Recommender {
 public:
  explicit ItemKnnRecommender(ItemKnn params) : recommend::Recommender(params, ItemKnn::kOp), params_(std::move(params)) {}

 protected:
  std::unique_ptr<recommend::ItemScorer> learn(graph::CollectiveContext& context) override;
  std::unique_ptr<recommend::ItemScorer> restore(const std::filesystem::path& folder) override;

 private:
  ItemKnn params_;
};

}  // namespace throng::op
