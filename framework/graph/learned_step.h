// An operator that uses what another step has learned on rows of its own.
#pragma once
#include "framework/graph/operator.h"

namespace throng::graph {

/// Input 0 are the rows, input 1 is the step that learned; of that only what it left in its folder is read. A copy of its operator does the work.
class LearnedStepOperator : public CollectiveOperator {
 public:
  std::optional<size_t> learner_input() const override { return 1; }
  void take_learner(std::unique_ptr<CollectiveOperator> learner, std::vector<data::Schema> inputs) override { learner_ = std::move(learner), learner_inputs_ = std::move(inputs); }

  /// A job error where the rows lack a column that the learner saw, or have it of another type.
  data::Schema bind(const std::vector<data::Schema>& inputs) override;
  Names needed_columns(size_t input, const data::Schema& schema, const Names& wanted) const override { return input == 0 ? learner_->needed_columns(0, schema, wanted) : Names(); }
  Contract contract(size_t input) const override { return input == 0 ? learner_->contract(0) : Contract(); }
  void run(CollectiveContext& context) override;
  data::Schema apply_schema(const data::Schema& input) override { return learner_->apply_schema(input); }
  void replay(CollectiveContext& context) override { run(context); }

 protected:
  CollectiveOperator& learner() { return *learner_; }

 private:
  std::unique_ptr<CollectiveOperator> learner_;
  std::vector<data::Schema> learner_inputs_;
};

}  // namespace throng::graph
