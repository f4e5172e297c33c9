// operators/derive: adds columns computed from others.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Adds columns, or replaces those that exist. Later expressions see the columns of earlier ones.
struct Derive {
  graph::NameMap columns;

  static constexpr auto kOp = "derive";
  static constexpr auto kSummary = "adds columns computed by expressions";
  static auto fields() {
    return graph::fields(graph::field("columns", &Derive::columns, "name: expression, such as {spend: value * quantity}").required());
  }
};

}  // namespace throng::op
