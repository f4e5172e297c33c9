#include "framework/base/board.h"

#include <algorithm>

namespace throng {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

int64_t microseconds() { return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

void BoardLine::set_step(const std::string& step, const std::string& op) {
  std::lock_guard lock(mutex_);
  step_ = step, op_ = op, text_.clear();
  fraction_ = 0, rows_ = 0, since_us_ = microseconds();
}

void BoardLine::set_progress(std::string_view text, double fraction, int64_t rows) {
  fraction_.store(fraction, kRelaxed), rows_.store(rows, kRelaxed);
  std::lock_guard lock(mutex_);
  if (text_ != text) text_ = text;
}

void BoardLine::set_queues(uint64_t queued, uint64_t unconfirmed, uint64_t held) { queued_.store(queued, kRelaxed), unconfirmed_.store(unconfirmed, kRelaxed), held_.store(held, kRelaxed); }

BoardLine::Now BoardLine::now() const { return {doing_.load(kRelaxed), what_.load(kRelaxed), exchange_.load(kRelaxed), peer_.load(kRelaxed), since_us_.load(kRelaxed)}; }

void BoardLine::set(const Now& now) {
  what_.store(now.what, kRelaxed), exchange_.store(now.exchange, kRelaxed), peer_.store(now.peer, kRelaxed), since_us_.store(now.since_us, kRelaxed);
  doing_.store(now.doing, kRelaxed);
}

BoardLine::Snapshot BoardLine::snapshot() const {
  Snapshot s;
  {
    std::lock_guard lock(mutex_);
    s.step = step_, s.op = op_, s.text = text_;
  }
  const Now n = now();
  s.fraction = fraction_, s.rows = rows_, s.doing = n.doing, s.what = n.what, s.exchange = n.exchange, s.peer = n.peer;
  s.seconds = std::max(0.0, double(microseconds() - n.since_us) / 1e6);
  s.queued = queued_, s.unconfirmed = unconfirmed_, s.held = held_;
  return s;
}

void Activity::begin(Doing doing, const char* what, int peer, int64_t exchange) {
  if (!begun_) before_ = line_.now();
  begun_ = true, doing_ = doing, since_us_ = microseconds();
  line_.set({doing, what, exchange, peer, since_us_});
}

Activity::~Activity() {
  if (!begun_) return;
  const int64_t now = microseconds(), took = now - since_us_;
  // What it was before goes on from now, but for an outer wait.
  if (before_.doing == Doing::kComputing) before_.since_us = now;
  line_.set(before_);
  if (before_.doing != Doing::kComputing) return;  // the outer one counts it
  BoardTotals& totals = line_.totals_;
  switch (doing_) {
    case Doing::kComputing: break;
    case Doing::kCollective: totals.collective_wait_us.fetch_add(took, kRelaxed); break;
    case Doing::kExchange: totals.exchange_wait_us.fetch_add(took, kRelaxed); break;
    case Doing::kWriting: totals.writing_us.fetch_add(took, kRelaxed); break;
  }
}

std::shared_ptr<BoardLine> Board::add() {
  auto line = std::make_shared<BoardLine>(totals_);
  std::lock_guard lock(mutex_);
  std::erase_if(lines_, [](const auto& weak) { return weak.expired(); });
  lines_.push_back(line);
  return line;
}

std::vector<BoardLine::Snapshot> Board::snapshot() const {
  std::vector<std::shared_ptr<BoardLine>> lines;
  {
    std::lock_guard lock(mutex_);
    for (const auto& weak : lines_)
      if (auto line = weak.lock()) lines.push_back(std::move(line));
  }
  std::vector<BoardLine::Snapshot> all;
  for (const auto& line : lines)
    if (auto s = line->snapshot(); !s.step.empty()) all.push_back(std::move(s));
  return all;
}

}  // namespace throng
