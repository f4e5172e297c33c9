// Rows as text: for `inspect`, and for export to CSV and JSONL.
#pragma once
#include <string>

#include "framework/data/batch.h"

namespace throng::data {

/// One row as a JSON object on one line; timestamps as RFC 3339 in the column's zone, nulls as null.
std::string row_as_json(const Batch& batch, int64_t row);
/// One row as CSV (RFC 4180); lists as JSON, nulls as empty fields. No line break at the end.
std::string row_as_csv(const Batch& batch, int64_t row);
std::string header_as_csv(const Schema& schema);

}  // namespace throng::data
