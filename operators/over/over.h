// operators/over: columns computed from the rows around each row.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Adds columns by SQL's window functions, as its OVER clause does: rows are cut in partitions by `by` and ordered by `order` (a column with
/// `-` before it falls; nulls come first in rising order, last in falling; ties by place in the input).
///   lag(x[, n]) lead(x[, n])     x of the row n (1) before or behind; null beyond the partition
///   row_number() rank() dense_rank() ntile(n)     place from 1; with gaps after ties, without; number of the row's n-th part of the partition
///   first(x) last(x) count() count(x) sum(x) mean(x) min(x) max(x) variance(x) stddev(x) variance_pop(x) stddev_pop(x)     over the frame
/// Arguments are expressions. The frame is `rows: [from, to]`, relative to the row (0), such as [-24, -1], [unbounded, 0] or
/// [0, unbounded]; without it it is SQL's default: from the partition's first row to the last that ties with this one in `order`, and the
/// whole partition where there is no order. first and last give the value of that row, null or not; the others leave nulls out. Over
/// an empty frame counts are 0 and all else is null.
/// Sums of whole numbers are exact; one that does not fit 64 bits is an error. A sum of floats is carried in twice the precision
/// (Ogita, Rump and Oishi, 2005), variances are exact for whole numbers below 2^31 and merged from moments otherwise (Chan, Golub
/// and LeVeque, 1979). Floats are added and never taken off: what leaves a frame leaves no error, infinity or NaN behind. All take O(1) a row
/// (frames as two stacks; min and max by a monotone queue), and depend on the partition's rows alone. NaN is above all numbers.
/// Rows are in order of the hash partition of their group, then ascending by group, then in order.
struct Over {
  std::vector<std::string> by, order;
  graph::NameMap columns;
  std::vector<std::string> rows;

  static constexpr auto kOp = "over";
  static constexpr auto kSummary = "SQL's window functions: lag, lead, ranks, and aggregates over a moving frame of rows";
  static auto fields() {
    return graph::fields(graph::field("by", &Over::by, "columns of the partitions; empty: all rows are one"),
                         graph::field("order", &Over::order, "columns that order a partition, the first counts most; -column falls; empty: the input's order"),
                         graph::field("columns", &Over::columns,
                                      "name: function, such as {before: lag(action), m: mean(value)}. lag(x[, n]), lead(x[, n]), row_number(), rank(), dense_rank(), ntile(n); over the frame: first(x), "
                                      "last(x), count(), count(x), sum, mean, min, max, variance, stddev, variance_pop, stddev_pop")
                             .required(),
                         graph::field("rows", &Over::rows, "frame, from and to relative to the row: [-24, -1], [unbounded, 0]; empty: up to the row and its ties in order; without order the whole partition"));
  }
};

}  // namespace throng::op
