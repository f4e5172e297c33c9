// What a rank is doing, for who watches it from outside: a few atomic stores, and no lock where rows or messages pass.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace throng {

enum class Doing : uint8_t { kComputing, kCollective, kExchange, kWriting };

/// Of all lanes of a rank, since it began. Thread-safe.
struct BoardTotals {
  std::atomic<uint64_t> sent_bytes{0}, received_bytes{0};
  std::atomic<int64_t> collective_wait_us{0}, exchange_wait_us{0}, writing_us{0};
};

/// What one lane is doing: written by the thread that works on it, read by any. What is read together may be of two moments.
class BoardLine {
 public:
  explicit BoardLine(BoardTotals& totals) : totals_(totals) {}
  BoardLine(const BoardLine&) = delete;
  BoardLine& operator=(const BoardLine&) = delete;

  /// An empty `step` ends it.
  void set_step(const std::string& step, const std::string& op);
  /// `rows` are this rank's.
  void set_progress(std::string_view text, double fraction, int64_t rows);
  /// Of the exchange under way: bytes that wait for credit, that receivers have not confirmed, and that wait here for their turn.
  void set_queues(uint64_t queued, uint64_t unconfirmed, uint64_t held);
  BoardTotals& totals() { return totals_; }

  struct Snapshot {
    std::string step, op, text;
    double fraction = 0;
    int64_t rows = 0;
    Doing doing{};
    std::string what;     ///< the collective or the file
    int64_t exchange = -1;
    int peer = -1;        ///< the rank that is waited for; -1: any, or none
    double seconds = 0;   ///< for so long
    uint64_t queued = 0, unconfirmed = 0, held = 0;
  };
  Snapshot snapshot() const;

 private:
  friend class Activity;
  friend class Collective;
  struct Now {
    Doing doing = Doing::kComputing;
    const char* what = "";
    int64_t exchange = -1;
    int peer = -1;
    int64_t since_us = 0;
  };
  Now now() const;
  void set(const Now& now);

  BoardTotals& totals_;
  mutable std::mutex mutex_;  // of the texts, which change once a step or a batch
  std::string step_, op_, text_;
  std::atomic<double> fraction_{0};
  std::atomic<int64_t> rows_{0}, exchange_{-1}, since_us_{0};
  std::atomic<Doing> doing_{Doing::kComputing};
  std::atomic<const char*> what_{""}, collective_{nullptr};
  std::atomic<int> peer_{-1};
  std::atomic<uint64_t> queued_{0}, unconfirmed_{0}, held_{0};
};

/// For as long as it lives, the line says what its thread is at, once `begin` has been called; then what it was before. One thread.
class Activity {
 public:
  explicit Activity(BoardLine& line) : line_(line) {}
  /// Begins at once. `what` is never freed: a literal.
  Activity(BoardLine& line, Doing doing, const char* what) : line_(line) { begin(doing, what); }
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;
  ~Activity();
  void begin(Doing doing, const char* what, int peer = -1, int64_t exchange = -1);
  bool begun() const { return begun_; }
  /// Waits for another rank now.
  void set_peer(int peer) { line_.peer_.store(peer, std::memory_order_relaxed); }

 private:
  BoardLine& line_;
  BoardLine::Now before_;
  int64_t since_us_ = 0;
  Doing doing_{};
  bool begun_ = false;
};

/// Names the collective that waits are part of; the outermost counts.
class Collective {
 public:
  Collective(BoardLine& line, const char* name) : line_(line), outermost_(line.collective_.load(std::memory_order_relaxed) == nullptr) {
    if (outermost_) line_.collective_.store(name, std::memory_order_relaxed);
  }
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;
  ~Collective() {
    if (outermost_) line_.collective_.store(nullptr, std::memory_order_relaxed);
  }
  /// That of the line; "a message" outside of any.
  static const char* name_on(const BoardLine& line) {
    const char* name = line.collective_.load(std::memory_order_relaxed);
    return name ? name : "a message";
  }

 private:
  BoardLine& line_;
  bool outermost_;
};

/// The lines of one rank's lanes. Thread-safe.
class Board {
 public:
  /// A line of its own; it is gone when its holder is. The board must outlive it.
  std::shared_ptr<BoardLine> add();
  /// Lines that are on a step.
  std::vector<BoardLine::Snapshot> snapshot() const;
  const BoardTotals& totals() const { return totals_; }

 private:
  BoardTotals totals_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<BoardLine>> lines_;
};

}  // namespace throng
