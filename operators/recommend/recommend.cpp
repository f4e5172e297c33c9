#include "operators/recommend/recommend.h"

#include "framework/graph/learned_step.h"
#include "framework/graph/registry.h"
#include "framework/recommend/recommender.h"

namespace throng::op {
namespace {

class RecommendOperator : public graph::LearnedStepOperator {
 public:
  explicit RecommendOperator(Recommend params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    auto* recommender = dynamic_cast<recommend::Recommender*>(&learner());
    if (!recommender) throw job_error("its second input is no recommender").with_hint("sasrec, gru4rec, bert4rec, item_knn, popular and matrix_factorization are; for others there is predict");
    recommender->set_list(params_.k > 0 ? std::optional(params_.k) : std::nullopt, params_.filter_seen == "as learned" ? std::nullopt : std::optional(params_.filter_seen == "yes"));
    return LearnedStepOperator::bind(inputs);
  }

 private:
  Recommend params_;
};

}  // namespace
}  // namespace throng::op

void register_recommend(throng::graph::Registry& registry) { registry.add<throng::op::Recommend, throng::op::RecommendOperator>(); }
