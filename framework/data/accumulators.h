// The accumulators behind the aggregate functions. Internal to aggregation.
#pragma once
#include <memory>
#include <vector>

#include "framework/data/aggregation.h"

namespace throng::data::accumulators {

// What every accumulator of one aggregate knows.
struct Bound {
  std::vector<Field> state;
  Field result;
  std::shared_ptr<std::vector<Expression>> arguments;
  double number = 0;  // the constant argument, where there is one

  ColumnPtr argument(size_t i, const Batch& rows) const { return (*arguments)[i].evaluate_shared(rows); }
  const Column& state_column(size_t i, const Batch& rows) const { return rows.column(state[i].name); }
};

std::unique_ptr<Accumulator> make_count(const Bound& b);
std::unique_ptr<Accumulator> make_sum(const Bound& b, bool whole, bool mean);
std::unique_ptr<Accumulator> make_variance(const Bound& b, bool population, bool root);
/// min and max; `by_time`: first and last.
std::unique_ptr<Accumulator> make_extreme(const Bound& b, bool largest, bool by_time);
std::unique_ptr<Accumulator> make_count_distinct(const Bound& b);
std::unique_ptr<Accumulator> make_approx_distinct(const Bound& b);
std::unique_ptr<Accumulator> make_quantile(const Bound& b);
std::unique_ptr<Accumulator> make_top_k(const Bound& b);

}  // namespace throng::data::accumulators
