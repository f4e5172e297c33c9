#include "framework/graph/learned_step.h"

#include <algorithm>

namespace throng::graph {

data::Schema LearnedStepOperator::bind(const std::vector<data::Schema>& inputs) {
  const data::Schema &rows = inputs.at(0), &learned_on = learner_inputs_.at(0);
  for (const std::string& name : learner_->needed_columns(0, learned_on, {})) {
    const int then = learned_on.find(name);
    if (then < 0 || name == kHoldoutColumn) continue;
    const int now = rows.find(name);
    if (now < 0) throw job_error("column '{}', which was learned from, is missing", name);
    if (rows.fields()[size_t(now)].type != learned_on.fields()[size_t(then)].type)
      throw job_error("column '{}' is {}; it was learned from as {}", name, data::type_name(rows.fields()[size_t(now)].type), data::type_name(learned_on.fields()[size_t(then)].type));
  }
  learner_inputs_[0] = rows;
  learner_->bind(learner_inputs_);
  return learner_->apply_schema(rows);
}

void LearnedStepOperator::run(CollectiveContext& context) {
  learner_->wanted = wanted;
  learner_->load(context.learned_folder(1));
  learner_->replay(context);
  for (const auto& [name, count] : learner_->counters().take()) counters().add(name, count);
}

}  // namespace throng::graph
