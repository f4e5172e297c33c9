// The least and greatest value of a column: statistics that tell which rows need not be read.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

#include "framework/data/column.h"

namespace throng::data {

/// Bounds over the rows that are not null; NaN is left out. Without value where there is none, the type is a list, or a text is
/// longer than kLongestText.
struct ColumnRange {
  using Value = std::variant<std::monostate, int64_t, double, std::string>;
  static constexpr size_t kLongestText = 64;
  Value least, greatest;
  bool known() const { return least.index() > 0; }

  static ColumnRange of(const Column& column);
  nlohmann::json to_json() const;
  static ColumnRange from_json(const nlohmann::json& j);
  /// Widens it to hold `other`, as for the rows of both; unknown where either holds values whose bounds are not known.
  void merge(const ColumnRange& other);
};

/// What is known of the rows of a column without reading them.
struct ColumnStatistics {
  ColumnRange range;
  int64_t rows = 0, null_count = 0;
};
/// The statistics of a column by name; nullptr where nothing is known.
using StatisticsOf = std::function<const ColumnStatistics*(const std::string& column)>;

}  // namespace throng::data
