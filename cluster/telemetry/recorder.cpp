#include "cluster/telemetry/recorder.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/telemetry/metrics.h"
#include "framework/base/clock.h"
#include "framework/base/files.h"

namespace throng::telemetry {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr double kFirstInterval = 0.05, kInterval = 1, kIntervalOfARank = 0.002;  // of 1,000 ranks: every two seconds

}  // namespace

class Recorder::Impl {
 public:
  Impl(int num_ranks, std::function<fs::path()> run) : num_ranks_(num_ranks), run_(std::move(run)), thread_([this] { loop(); }) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void watch(int rank, std::shared_ptr<const Board> board) {
    std::lock_guard lock(mutex_);
    boards_[rank] = std::move(board);
  }

  void take(int rank, const std::string& text) {
    try {
      RankReport report = RankReport::from_json(json::parse(text));
      if (report.rank != rank) return;
      std::lock_guard lock(mutex_);
      heard_[rank] = {std::move(report), Stopwatch()};
    } catch (const json::exception&) {
      // half a report, of a rank that ended while it spoke
    }
  }

 private:
  void loop() {
    const auto interval = std::chrono::duration<double>(std::max(kInterval, kIntervalOfARank * num_ranks_));
    bool last = false, written = false;
    while (!last) {
      {
        std::unique_lock lock(mutex_);
        // At first soon: what an earlier part of the run has left there is old.
        last = changed_.wait_for(lock, written ? interval : std::chrono::duration<double>(kFirstInterval), [this] { return over_; });
      }
      written = write() || written;
    }
  }

  std::vector<RankReport> reports() {
    std::map<int, RankReport> all;
    std::lock_guard lock(mutex_);
    for (const auto& [rank, heard] : heard_) {
      all[rank] = heard.report;
      all[rank].age_seconds = heard.since.seconds();
    }
    for (const auto& [rank, board] : boards_) all[rank] = RankReport::of(rank, *board);
    std::vector<RankReport> list;
    for (auto& [rank, report] : all) list.push_back(std::move(report));
    return list;
  }

  // A full disk or a lost folder is the run's own to tell; what it says next must not end it here.
  bool write() {
    try {
      const fs::path run = run_();
      if (run.empty() || !fs::exists(run / "state.json")) return false;
      const auto ranks = reports();
      json list = json::array();
      for (const auto& r : ranks) list.push_back(r.to_json());
      replace_file(run / "ranks.json", json{{"updated", utc_text()}, {"num_ranks", num_ranks_}, {"ranks", list}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
      replace_file(run / "metrics.prom", prometheus_text({{fs::absolute(run).lexically_normal().filename().string(), ranks}}));
    } catch (const std::exception&) {
    }
    return true;
  }

  struct Heard {
    RankReport report;
    Stopwatch since;
  };
  const int num_ranks_;
  const std::function<fs::path()> run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::map<int, std::shared_ptr<const Board>> boards_;
  std::map<int, Heard> heard_;
  std::thread thread_;
};

Recorder::Recorder(int num_ranks, std::function<fs::path()> run) : impl_(std::make_unique<Impl>(num_ranks, std::move(run))) {}
Recorder::~Recorder() = default;
void Recorder::watch(int rank, std::shared_ptr<const Board> board) { impl_->watch(rank, std::move(board)); }
void Recorder::take(int rank, const std::string& report) { impl_->take(rank, report); }

RanksFile read_ranks(const fs::path& run) {
  RanksFile file;
  std::error_code code;
  const auto written = fs::last_write_time(run / "ranks.json", code);
  if (code) return file;
  try {
    const json j = json::parse(read_file(run / "ranks.json"));
    file.updated = j.at("updated"), file.num_ranks = j.at("num_ranks");
    for (const auto& one : j.at("ranks")) file.ranks.push_back(RankReport::from_json(one));
  } catch (const std::exception&) {
    return {};
  }
  file.age_seconds = std::max(0.0, std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count());
  return file;
}

}  // namespace throng::telemetry
