// The worker threads of one rank.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>

namespace throng {

/// Runs loops on a fixed number of worker threads. A caller works on its own loop; several may call at a time.
class ThreadPool {
 public:
  /// `num_threads` counts the calling thread; 1 runs everything inline.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const;
  /// How many threads call, or work beside the pool: so many fewer of its own help them. 1 at first. Thread-safe.
  void set_callers(int num_callers);

  /// Calls body(i) for i in [0, n), in any order. Rethrows the exception of the lowest i that failed; after a
  /// failure at i, no index above i is started.
  void parallel_for(size_t n, const std::function<void(size_t)>& body);

  enum class Begin { kNow, kLater, kNoMore };
  /// Calls work(i) for i in [0, n) on all threads and, as these end, take(i) in the calling thread, ascending. work(i) follows
  /// begin(i, must), called by the calling thread, ascending: after kLater it is called again after the next take, unless `must` said that
  /// nothing else is under way; after kNoMore what was begun is ended, and that is all. Returns how many were taken. Rethrows the first
  /// failure in this order; then no later take is called.
  size_t ordered_for(size_t n, const std::function<Begin(size_t, bool)>& begin, const std::function<void(size_t)>& work, const std::function<void(size_t)>& take);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Sets flush-to-zero and denormals-are-zero in the calling thread: denormals slow training up to 27 times.
void flush_denormals();

}  // namespace throng
