// The error that a call ends with.
#pragma once
#include <utility>

#include "framework/base/error.h"

namespace throng::testing {

/// What `body` throws; a bug where it throws nothing.
template <class Body>
Error error_of(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& e) {
    return e;
  }
  return Error(Fault::kBug, "nothing was thrown");
}

}  // namespace throng::testing
