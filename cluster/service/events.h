// A run as it goes on, as server-sent events (WHATWG HTML, 9.2).
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "cluster/service/runs.h"

namespace throng::service {

/// For `HttpResponse::stream`: an event `run` with `Runs::describe` when that has changed, `log` with what the log has more of, and `end`
/// when the run is over and all was told. Called by one thread at a time.
std::function<std::optional<std::string>()> event_stream(Runs& runs, const std::string& id, uint64_t log_from);

}  // namespace throng::service
