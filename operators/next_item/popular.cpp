#include "operators/next_item/baselines.h"

namespace throng::op {

using namespace recommend;
namespace {

class Popularity : public ItemScorer {
 public:
  explicit Popularity(const data::Vocabulary& catalogue) {
    for (size_t i = 0; i < catalogue.size(); ++i) counts_.push_back(float(catalogue.count(i)));
  }
  void scores(std::span<const Asked> users, std::vector<float>& into) const override {
    into.clear();
    for (size_t u = 0; u < users.size(); ++u) into.insert(into.end(), counts_.begin(), counts_.end());
  }

 private:
  std::vector<float> counts_;
};

}  // namespace

std::unique_ptr<ItemScorer> PopularRecommender::learn(graph::CollectiveContext& context) {
  save_catalogue(context);
  return std::make_unique<Popularity>(catalogue());
}

std::unique_ptr<ItemScorer> PopularRecommender::restore(const std::filesystem::path&) { return std::make_unique<Popularity>(catalogue()); }

}  // namespace throng::op
