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
constexpr int kCircle = -1, kNobody = -2;  // instead of the rank that others wait for

bool waits(const BoardLine::Snapshot& lane) { return (lane.doing == Doing::kCollective || lane.doing == Doing::kExchange) && lane.seconds >= kMomentSeconds; }

// Who waits for whom, in each step.
class Chains {
 public:
  explicit Chains(const std::vector<RankReport>& reports) {
    for (const auto& r : reports) reports_[r.rank] = &r;
  }
  // The last one of the chain that begins at `rank`.
  int end(int rank, const std::string& step) {
    std::vector<int> way;
    std::set<int> seen;
    int end = rank;
    for (;; end = next(end, step)) {
      if (const auto known = ends_.find({step, end}); known != ends_.end()) {
        end = known->second;
        break;
      }
      if (!seen.insert(end).second) {
        end = kCircle;
        break;
      }
      way.push_back(end);
      if (next(end, step) == end) break;
    }
    for (int r : way) ends_[{step, r}] = end;
    return end;
  }

 private:
  // Whom it waits for; itself where it does not, or nobody in particular.
  int next(int rank, const std::string& step) const {
    const auto at = reports_.find(rank);
    if (at == reports_.end() || at->second->age_seconds > kSilentSeconds) return rank;
    for (const auto& lane : at->second->lanes)
      if (lane.step == step) return waits(lane) && lane.peer >= 0 ? lane.peer : rank;
    return rank;
  }
  std::map<int, const RankReport*> reports_;
  std::map<std::pair<std::string, int>, int> ends_;
};

}  // namespace

std::vector<std::string> explain(const std::vector<RankReport>& reports) {
  enum Kind { kSilent, kIdle, kWorks, kWrites, kWaits };
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
  Chains chains(sorted);
  for (const auto& r : sorted) {
    const bool silent = r.age_seconds > kSilentSeconds;
    if (silent) add({kSilent, "", r.host, -1}, r.rank, r.age_seconds);
    if (r.lanes.empty()) add({kIdle, "", "", -1}, r.rank, 0);
    for (const auto& lane : r.lanes) {
      const bool works = lane.doing == Doing::kComputing || lane.seconds < kMomentSeconds;
      if (works) add({kWorks, lane.step, "", -1}, r.rank, lane.doing == Doing::kComputing ? lane.seconds : 0, lane.text);
      else if (lane.doing == Doing::kWriting) add({kWrites, lane.step, "", -1}, r.rank, lane.seconds, lane.what);
      else {
        const int by = chains.end(r.rank, lane.step);
        add({kWaits, lane.step, lane.doing == Doing::kExchange ? fmt::format("exchange {}", lane.exchange) : lane.what, by == r.rank ? kNobody : by}, r.rank, lane.seconds);
      }
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
      case kWrites: lines.push_back(fmt::format("{} write{} {} for {} in {}", who, s, members.text, time, at)); break;
      case kWaits: lines.push_back(fmt::format("{} wait{} for {} in {} of {}{}", who, s, time, words, at, by == kCircle ? ", in a circle: each for another" : by == kNobody ? "" : fmt::format(", for rank {}", by)));
    }
  }
  return lines;
}

}  // namespace throng::telemetry
