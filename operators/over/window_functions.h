// SQL's window functions over rows that are grouped and in order. Internal to over.
#pragma once
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/data/expression.h"

namespace throng::op {

/// Where frames begin and end, relative to their row; nothing: at the partition's border.
struct Frame {
  static constexpr int64_t kFar = int64_t{1} << 60;  // beyond any row, and yet a sum with a row number fits
  std::optional<int64_t> from, to = 0;
  bool with_ties = true;  ///< `to` is the last row that ties with this one, not the row itself: SQL's default
  /// Reads [from, to]; empty: the default. A job error where it is no frame.
  static Frame parse(const std::vector<std::string>& rows);
};

/// Sorted rows as window functions see them. Row numbers are the batch's own.
struct OrderedRows {
  const data::Batch& batch;
  std::span<const int64_t> partitions;  ///< first row of each, and the number of rows
  std::vector<int64_t> ties;            ///< the same of runs of rows that tie in order; may be empty where nobody asks
  std::vector<int64_t> from, to;        ///< the frame of row r is [from[r], to[r]): both never fall within a partition; may be empty, too

  void set_frames(const Frame& frame);
  /// Calls body(first, end) for each partition.
  template <class Body>
  void for_each_partition(const Body& body) const {
    for (size_t p = 0; p + 1 < partitions.size(); ++p) body(partitions[p], partitions[p + 1]);
  }
};

/// One column of a job: a name and `function(expression, ..)`, checked against the rows' schema.
class WindowFunction {
 public:
  /// A job error for an unknown function, a wrong number or type of arguments.
  WindowFunction(std::string name, std::string text, const data::Schema& input);

  const data::Field& result() const { return result_; }
  /// Columns of the rows that it reads.
  std::vector<std::string> columns() const;
  bool needs_ties() const { return needs_ties_; }
  bool needs_frames() const { return needs_frames_; }
  /// A value for each row. Thread-safe; a data error for a sum that does not fit.
  data::Column evaluate(const OrderedRows& rows) const;

 private:
  using Values = std::function<data::Column(const OrderedRows&, const data::Column& argument)>;

  [[noreturn]] void fail(const std::string& what) const;
  void parse();
  void bind(const data::Schema& input);
  void bind_argument(const data::Schema& input);
  int64_t whole_argument(size_t i, int64_t least) const;
  void need_number() const;

  std::string name_, text_, function_;
  std::vector<std::string> arguments_;
  std::string column_;                          // the argument where it is a column as it stands: its type is kept
  std::optional<data::Expression> expression_;  // otherwise
  data::Field argument_field_, result_;
  bool needs_ties_ = false, needs_frames_ = false;
  Values values_;
};

}  // namespace throng::op
