// Aggregates over frames that slide along the rows of a partition. Internal to over.
#pragma once
#include <vector>

#include "operators/over/window_functions.h"

namespace throng::op {

/// Rows of each frame; rows where x is not null.
data::Column frame_sizes(const OrderedRows& rows);
data::Column frame_counts(const OrderedRows& rows, const data::Column& x);
/// Sum, or mean. Sums of whole numbers are whole, means and sums of floats floats. A data error where a sum does not fit 64 bits.
data::Column frame_sums(const OrderedRows& rows, const data::Column& x, bool mean);
data::Column frame_variances(const OrderedRows& rows, const data::Column& x, bool population, bool root);
/// The row of each frame with the smallest or largest x, the first of equal ones; -1 where there is none.
std::vector<int64_t> frame_extremes(const OrderedRows& rows, const data::Column& x, bool largest);

}  // namespace throng::op
