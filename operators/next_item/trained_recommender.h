// A model of layers as a recommender: trains it, and keeps the epoch that validates best. Internal to next_item.
#pragma once
#include "framework/train/epoch_curve.h"
#include "framework/train/word_vectors.h"
#include "operators/next_item/item_model.h"
#include "operators/next_item/next_item.h"

namespace throng::op {

class TrainedRecommender : public recommend::Recommender {
 public:
  TrainedRecommender(const ItemTraining& training, ItemModelOptions model, std::string name) : recommend::Recommender(training, std::move(name), training.shards), training_(training), options_(std::move(model)) {
    if (options_.attended > 0) write_attended();
  }

  data::Schema bind(const std::vector<data::Schema>& inputs) override;
  std::vector<std::filesystem::path> files() const override {
    auto all = training_.files(base_folder);
    if (!training_.vectors.empty()) all.push_back(base_folder / training_.vectors);
    return all;
  }
  void recorded(const std::filesystem::path& folder) const override { train::EpochCurve::remove_files(folder); }
  void check_ranks(int num_ranks) const override { train::check_shards(training_.shards, training_.reproducible, num_ranks); }
  void run(graph::CollectiveContext& context) override {
    set_shards(train::shards_of_run(training_.shards, training_.reproducible, context.comm(), context.pool()));
    Recommender::run(context);
  }

 protected:
  std::unique_ptr<recommend::ItemScorer> learn(graph::CollectiveContext& context) override;
  std::unique_ptr<recommend::ItemScorer> restore(const std::filesystem::path& folder) override;
  void describe(nlohmann::json& result) const override {
    result["weights"] = model_->parameters().size();
    if (vectors_) result["vectors"] = vectors_->result();
  }

 private:
  ItemTraining training_;
  ItemModelOptions options_;
  std::unique_ptr<ItemModel> model_;
  train::Weights weights_;
  mutable std::optional<train::WordVectorStart> vectors_;
};

}  // namespace throng::op
