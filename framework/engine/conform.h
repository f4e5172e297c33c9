// Rows under the schema that the plan foresees for them.
#pragma once
#include <string>

#include "framework/base/error.h"
#include "framework/data/batch.h"

namespace throng::engine {

/// The batch's columns under `schema`, by name. A bug where step `step` did not make one, or made it with another type.
inline data::Batch conform(const data::Batch& batch, const data::Schema& schema, const std::string& step) {
  if (batch.schema() == schema) return batch;
  std::vector<data::ColumnPtr> columns;
  for (const auto& field : schema.fields()) {
    const int at = batch.schema().find(field.name);
    THRONG_CHECK(at >= 0, "step '{}' did not make column '{}'", step, field.name);
    THRONG_CHECK(batch.column(size_t(at)).type() == field.type, "step '{}' made column '{}' as {}", step, field.name,
                 data::type_name(batch.column(size_t(at)).type()));
    columns.push_back(batch.column_ptr(size_t(at)));
  }
  return data::Batch(std::make_shared<data::Schema>(schema), std::move(columns), batch.origin);
}

}  // namespace throng::engine
