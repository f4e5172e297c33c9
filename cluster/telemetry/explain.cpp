#include "cluster/telemetry/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "cluster/telemetry/ranks_text.h"
#include "framework/base/units.h"

namespace throng::telemetry {
namespace {

constexpr double kMomentSeconds = 1;  // shorter waits come and go
constexpr double kSilentSeconds = 5;

const RankReport* find(const std::vector<RankReport>& reports, int rank) {
  for (const auto& r : reports)
    if (r.rank == rank) return &r;
  return nullptr;
}

bool waits(const BoardLine::Snapshot& lane) { return (lane.doing == Doing::kCollective || lane.doing == Doing::kExchange) && lane.seconds >= kMomentSeconds; }

const BoardLine::Snapshot* on_step(const RankReport& report, const std::string& step) {
  for (const auto& lane : report.lanes)
    if (lane.step == step) return &lane;
  return nullptr;
}

// The end of the chain of waits in one step.
int end_of_chain(const std::vector<RankReport>& reports, int rank, const std::string& step) {
  std::set<int> seen;
  for (;;) {
    if (!seen.insert(rank).second) return -1;
    const RankReport* report = find(reports, rank);
    const auto* lane = report ? on_step(*report, step) : nullptr;
    if (!lane || !waits(*lane) || lane->peer < 0 || lane->peer == rank || report->age_seconds > kSilentSeconds) return rank;
    rank = lane->peer;
  }
}

}  // namespace

int blocked_by(const std::vector<RankReport>& reports, int rank) {
  const RankReport* report = find(reports, rank);
  return report && !report->lanes.empty() ? end_of_chain(reports, rank, report->lanes[0].step) : rank;
}

std::vector<std::string> explain(const std::vector<RankReport>& reports) {
  enum Kind { kSilent, kIdle, kWorks, kFiles, kWaits };
  // What the ranks of a line have in common.
  using Group = std::tuple<Kind, std::string, std::string, int>;  // step, words, blocking rank
  struct Members {
    std::vector<int> ranks;
    double seconds = 0;
    std::string text;  // the first one's
  };
  std::map<Group, Members> groups;
  auto add = [&](Group group, int rank, double seconds, const std::string& text = "") {
    Members& members = groups[std::move(group)];
    if (members.ranks.empty()) members.text = text;
    if (members.ranks.empty() || members.ranks.back() != rank) members.ranks.push_back(rank);
    members.seconds = std::max(members.seconds, seconds);
  };
  std::vector<RankReport> sorted = reports;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  for (const auto& r : sorted) {
    const bool silent = r.age_seconds > kSilentSeconds;
    if (silent) add({kSilent, "", r.host, -1}, r.rank, r.age_seconds);
    if (r.lanes.empty()) add({kIdle, "", "", -1}, r.rank, 0);
    for (const auto& lane : r.lanes) {
      const bool works = lane.doing == Doing::kComputing || lane.seconds < kMomentSeconds;
      if (works) add({kWorks, lane.step, "", -1}, r.rank, lane.doing == Doing::kComputing ? lane.seconds : 0, lane.text);
      else if (lane.doing == Doing::kReading) add({kFiles, lane.step, "read", -1}, r.rank, lane.seconds, lane.what);
      else if (lane.doing == Doing::kWriting) add({kFiles, lane.step, "write", -1}, r.rank, lane.seconds, lane.what);
      else add({kWaits, lane.step, lane.doing == Doing::kExchange ? fmt::format("exchange {}", lane.exchange) : lane.what, end_of_chain(sorted, r.rank, lane.step)}, r.rank, lane.seconds);
    }
  }
  const bool some_wait = std::any_of(groups.begin(), groups.end(), [](const auto& g) { return std::get<0>(g.first) == kWaits; });
  std::vector<std::string> lines;
  for (const auto& [group, members] : groups) {
    const auto& [kind, step, words, by] = group;
    const std::string who = ranks_text(members.ranks), time = format_seconds(members.seconds), s = members.ranks.size() > 1 ? "" : "s", at = fmt::format("step '{}'", step);
    switch (kind) {
      case kSilent: lines.push_back(fmt::format("{} on {}: not heard of for {}; before that:", who, words, time)); break;
      case kIdle: lines.push_back(fmt::format("{} {} between steps", who, members.ranks.size() > 1 ? "are" : "is")); break;
      case kWorks: lines.push_back(fmt::format("{} work{} on {}{}{}", who, s, at, some_wait && members.seconds >= kMomentSeconds ? " for " + time : "", members.text.empty() ? "" : ": " + members.text)); break;
      case kFiles: lines.push_back(fmt::format("{} {}{} {} for {} in {}", who, words, s, members.text, time, at)); break;
      case kWaits: {
        const bool named = by >= 0 && !std::binary_search(members.ranks.begin(), members.ranks.end(), by);
        lines.push_back(fmt::format("{} wait{} for {} in {} of {}{}", who, s, time, words, at, by == -1 ? ", in a circle: each for another" : named ? fmt::format(", for rank {}", by) : ""));
      }
    }
  }
  return lines;
}

}  // namespace throng::telemetry
