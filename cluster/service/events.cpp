#include "cluster/service/events.h"

#include <memory>

#include "cluster/service/files.h"

namespace throng::service {

using nlohmann::json;

namespace {

constexpr int kQuietCalls = 15;  // then a comment, so that nobody between takes the connection for dead

std::string event(const std::string& name, const json& data) { return "event: " + name + "\ndata: " + data.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n"; }

struct Told {
  json run, lasting;
  uint64_t log_next = 0;
  int quiet = 0;
  bool ended = false;
};

}  // namespace

std::function<std::optional<std::string>()> event_stream(Runs& runs, const std::string& id, uint64_t log_from) {
  auto told = std::make_shared<Told>();
  told->log_next = log_from;
  return [&runs, id, told]() -> std::optional<std::string> {
    if (told->ended) return {};
    std::string text;
    json run;
    try {
      run = runs.describe(id);
      run.erase("request");  // long, and told elsewhere
    } catch (const Refusal& r) {
      told->ended = true;
      return event("end", r.body);
    }
    const std::string state = run["state"];
    const bool over = state != "queued" && state != "running";
    json lasting = run;
    lasting.erase("ranks_age_seconds");
    if (lasting != told->lasting) text += event("run", run);
    told->run = std::move(run), told->lasting = std::move(lasting);
    bool more = false;
    if (told->run.contains("allocations")) {
      json piece = piece_of(launch::log_of(runs.folder(id)), told->log_next);
      if (!piece["text"].get_ref<const std::string&>().empty()) text += event("log", piece);
      told->log_next = piece["next"];
      more = told->log_next < piece["bytes"].get<uint64_t>() && !piece["text"].get_ref<const std::string&>().empty();
    }
    if (over && !more) {
      told->ended = true;
      return text + event("end", {{"state", state}});
    }
    if (text.empty() && ++told->quiet >= kQuietCalls) text = ": still here\n\n";
    if (!text.empty()) told->quiet = 0;
    return text;
  };
}

}  // namespace throng::service
