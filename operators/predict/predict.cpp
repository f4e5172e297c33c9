#include "operators/predict/predict.h"

#include "framework/graph/learned_step.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class PredictOperator : public graph::LearnedStepOperator {
 public:
  explicit PredictOperator(const Predict&) {}
};

}  // namespace
}  // namespace throng::op

void register_predict(throng::graph::Registry& registry) { registry.add<throng::op::Predict, throng::op::PredictOperator>(); }
