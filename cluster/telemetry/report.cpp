#include "cluster/telemetry/report.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "framework/base/host_name.h"
#include "framework/base/memory.h"

namespace throng::telemetry {

using nlohmann::json;

namespace {

constexpr std::array<const char*, 4> kDoing = {"computing", "collective", "exchange", "writing"};

Doing doing_of(const std::string& name) {
  const auto at = std::find(kDoing.begin(), kDoing.end(), name);
  return at == kDoing.end() ? Doing::kComputing : Doing(at - kDoing.begin());
}

}  // namespace

RankReport RankReport::of(int rank, const Board& board) {
  const BoardTotals& totals = board.totals();
  return {rank,
          host_name(),
          int(::getpid()),
          throng::resident_bytes(),
          throng::peak_resident_bytes(),
          totals.sent_bytes,
          totals.received_bytes,
          double(totals.collective_wait_us) / 1e6,
          double(totals.exchange_wait_us) / 1e6,
          double(totals.writing_us) / 1e6,
          board.snapshot()};
}

json RankReport::to_json() const {
  json all = json::array();
  for (const auto& l : lanes) {
    json lane{{"step", l.step}, {"op", l.op}, {"text", l.text}, {"fraction", l.fraction}, {"rows", l.rows}, {"doing", kDoing[size_t(l.doing)]}, {"what", l.what}, {"seconds", l.seconds}};
    if (l.peer >= 0) lane["peer"] = l.peer;
    if (l.exchange >= 0) lane["exchange"] = l.exchange;
    if (l.queued + l.unconfirmed + l.held > 0) lane["queued"] = l.queued, lane["unconfirmed"] = l.unconfirmed, lane["held"] = l.held;
    all.push_back(std::move(lane));
  }
  return {{"rank", rank},
          {"host", host},
          {"pid", pid},
          {"resident_bytes", resident_bytes},
          {"peak_bytes", peak_bytes},
          {"sent_bytes", sent_bytes},
          {"received_bytes", received_bytes},
          {"collective_wait_seconds", collective_wait_seconds},
          {"exchange_wait_seconds", exchange_wait_seconds},
          {"writing_seconds", writing_seconds},
          {"age_seconds", age_seconds},
          {"lanes", all}};
}

RankReport RankReport::from_json(const json& j) {
  RankReport r;
  r.rank = j.at("rank"), r.host = j.at("host"), r.pid = j.at("pid"), r.resident_bytes = j.at("resident_bytes"), r.peak_bytes = j.at("peak_bytes");
  r.sent_bytes = j.at("sent_bytes"), r.received_bytes = j.at("received_bytes");
  r.collective_wait_seconds = j.at("collective_wait_seconds"), r.exchange_wait_seconds = j.at("exchange_wait_seconds"), r.writing_seconds = j.at("writing_seconds");
  r.age_seconds = j.at("age_seconds");
  for (const auto& lane : j.at("lanes")) {
    BoardLine::Snapshot l;
    l.step = lane.at("step"), l.op = lane.at("op"), l.text = lane.at("text"), l.fraction = lane.at("fraction"), l.rows = lane.at("rows");
    l.doing = doing_of(lane.at("doing")), l.what = lane.at("what"), l.seconds = lane.at("seconds");
    l.peer = lane.value("peer", -1), l.exchange = lane.value("exchange", int64_t{-1});
    l.queued = lane.value("queued", uint64_t{0}), l.unconfirmed = lane.value("unconfirmed", uint64_t{0}), l.held = lane.value("held", uint64_t{0});
    r.lanes.push_back(std::move(l));
  }
  return r;
}

}  // namespace throng::telemetry
