#include "cluster/telemetry/metrics.h"

#include <fmt/format.h>

#include <functional>

namespace throng::telemetry {
namespace {

std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) text += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
  return text;
}

}  // namespace

std::string prometheus_text(const std::vector<RunReports>& runs) {
  std::string text;
  auto head = [&](const char* name, const char* type, const char* help) { text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type); };
  auto of_ranks = [&](const char* name, const char* type, const char* help, const std::function<double(const RankReport&)>& value) {
    head(name, type, help);
    for (const auto& [run, reports] : runs)
      for (const auto& r : reports) text += fmt::format("{}{{run=\"{}\",rank=\"{}\",host=\"{}\"}} {}\n", name, escaped(run), r.rank, escaped(r.host), value(r));
  };
  auto of_lanes = [&](const char* name, const char* help, const std::function<double(const BoardLine::Snapshot&)>& value) {
    head(name, "gauge", help);
    for (const auto& [run, reports] : runs)
      for (const auto& r : reports)
        for (const auto& lane : r.lanes) text += fmt::format("{}{{run=\"{}\",rank=\"{}\",step=\"{}\"}} {}\n", name, escaped(run), r.rank, escaped(lane.step), value(lane));
  };
  of_ranks("throng_rank_resident_bytes", "gauge", "Resident memory of the rank's process.", [](const auto& r) { return double(r.resident_bytes); });
  of_ranks("throng_rank_peak_bytes", "gauge", "Most resident memory since the step began.", [](const auto& r) { return double(r.peak_bytes); });
  of_ranks("throng_rank_sent_bytes_total", "counter", "Bytes sent to other ranks.", [](const auto& r) { return double(r.sent_bytes); });
  of_ranks("throng_rank_received_bytes_total", "counter", "Bytes received from other ranks.", [](const auto& r) { return double(r.received_bytes); });
  of_ranks("throng_rank_collective_wait_seconds_total", "counter", "Time spent waiting in collectives.", [](const auto& r) { return r.collective_wait_seconds; });
  of_ranks("throng_rank_exchange_wait_seconds_total", "counter", "Time spent waiting in exchanges.", [](const auto& r) { return r.exchange_wait_seconds; });
  of_ranks("throng_rank_writing_seconds_total", "counter", "Time spent writing datasets and checkpoints.", [](const auto& r) { return r.writing_seconds; });
  of_ranks("throng_rank_report_age_seconds", "gauge", "Time since the rank was last heard of.", [](const auto& r) { return r.age_seconds; });
  of_lanes("throng_step_rows", "Rows of the step under way on this rank.", [](const auto& l) { return double(l.rows); });
  of_lanes("throng_step_fraction", "Part of the step that is done on this rank, 0 to 1.", [](const auto& l) { return l.fraction; });
  of_lanes("throng_step_waiting", "1 where the rank waits for others.", [](const auto& l) { return l.doing == Doing::kCollective || l.doing == Doing::kExchange ? 1.0 : 0.0; });
  of_lanes("throng_exchange_queued_bytes", "Bytes that wait for a receiver's credit.", [](const auto& l) { return double(l.queued); });
  of_lanes("throng_exchange_unconfirmed_bytes", "Bytes sent and not yet confirmed by their receiver.", [](const auto& l) { return double(l.unconfirmed); });
  of_lanes("throng_exchange_held_bytes", "Bytes received that wait for their turn.", [](const auto& l) { return double(l.held); });
  return text;
}

}  // namespace throng::telemetry
