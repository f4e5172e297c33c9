#include "framework/base/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace throng {

void flush_denormals() {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}

struct ThreadPool::State {
  struct Loop {
    const std::function<void(size_t)>& body;
    const size_t num_items;
    std::atomic<size_t> next{0};
    std::atomic<size_t> failed_at{SIZE_MAX};
    std::exception_ptr failure;
    size_t helpers = 0;

    bool open() const { return next.load() < num_items && next.load() <= failed_at.load(); }
  };
  std::vector<std::thread> threads;
  size_t num_helpers = 0;  // set before the first of them runs; `threads` grows meanwhile
  std::mutex mutex;
  std::condition_variable wake, done;
  std::vector<Loop*> loops;  // under way, one for each caller at most
  size_t callers = 1, helping = 0;
  bool stopping = false;

  void work(Loop& loop) {
    for (;;) {
      const size_t i = loop.next.fetch_add(1);
      if (i >= loop.num_items || i > loop.failed_at.load()) return;
      try {
        loop.body(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (i < loop.failed_at.load()) loop.failed_at = i, loop.failure = std::current_exception();
      }
    }
  }

  // The loop that has the fewest helpers, where another thread may help.
  Loop* wanting_help() {
    if (helping + callers > num_helpers) return nullptr;
    Loop* best = nullptr;
    for (Loop* loop : loops)
      if (loop->open() && (!best || loop->helpers < best->helpers)) best = loop;
    return best;
  }

  void help() {
    flush_denormals();
    std::unique_lock lock(mutex);
    for (;;) {
      Loop* loop = nullptr;
      wake.wait(lock, [&] { return stopping || (loop = wanting_help()) != nullptr; });
      if (stopping) return;
      ++loop->helpers, ++helping;
      lock.unlock();
      work(*loop);
      lock.lock();
      --helping;
      if (--loop->helpers == 0) done.notify_all();
      if (callers > 1) wake.notify_all();
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  state_->num_helpers = size_t(num_threads > 1 ? num_threads - 1 : 0);
  for (int i = 1; i < num_threads; ++i) state_->threads.emplace_back([s = state_.get()] { s->help(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (auto& t : state_->threads) t.join();
}

int ThreadPool::num_threads() const { return int(state_->threads.size()) + 1; }

void ThreadPool::set_callers(int num_callers) {
  std::lock_guard lock(state_->mutex);
  state_->callers = size_t(num_callers);
  state_->wake.notify_all();
}

void ThreadPool::parallel_for(size_t n, const std::function<void(size_t)>& body) {
  if (n == 0) return;
  if (n == 1 || state_->threads.empty()) {
    for (size_t i = 0; i < n; ++i) body(i);
    return;
  }
  auto& s = *state_;
  State::Loop loop{body, n};
  {
    std::lock_guard lock(s.mutex);
    s.loops.push_back(&loop);
  }
  s.wake.notify_all();
  s.work(loop);
  std::unique_lock lock(s.mutex);
  std::erase(s.loops, &loop);
  s.done.wait(lock, [&] { return loop.helpers == 0; });
  if (loop.failure) std::rethrow_exception(loop.failure);
}

size_t ThreadPool::ordered_for(size_t n, const std::function<Begin(size_t, bool)>& begin, const std::function<void(size_t)>& work, const std::function<void(size_t)>& take) {
  struct Item {
    bool done = false;
    std::exception_ptr failure;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Item> items(n);
  size_t begun = 0, started = 0, taken = 0;  // items that may be worked on, that a thread has, that were taken
  bool over = n == 0;
  auto work_on = [&](size_t i) {
    std::exception_ptr failure;
    try {
      work(i);
    } catch (...) {
      failure = std::current_exception();
    }
    std::lock_guard lock(mutex);
    items[i] = {true, failure};
    changed.notify_all();
  };
  auto helper = [&] {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return over || started < begun; });
      if (over) return;
      const size_t i = started++;
      lock.unlock();
      work_on(i);
      lock.lock();
    }
  };
  auto lead = [&] {
    std::unique_lock lock(mutex);
    while (taken < n) {
      while (begun < n) {
        const size_t i = begun;
        const bool must = taken == begun;
        lock.unlock();
        const Begin answer = begin(i, must);
        lock.lock();
        if (answer == Begin::kNoMore) n = i;
        if (answer == Begin::kNoMore || (answer == Begin::kLater && !must)) break;
        ++begun;
        changed.notify_all();
      }
      if (taken == n) break;
      if (items[taken].done) {
        if (items[taken].failure) std::rethrow_exception(items[taken].failure);
        const size_t i = taken;
        lock.unlock();
        take(i);
        lock.lock();
        ++taken;
      } else if (started < begun) {
        const size_t i = started++;
        lock.unlock();
        work_on(i);
        lock.lock();
      } else {
        changed.wait(lock, [&] { return items[taken].done; });
      }
    }
  };
  const std::thread::id caller = std::this_thread::get_id();
  parallel_for(size_t(num_threads()), [&](size_t) {
    if (std::this_thread::get_id() != caller) return helper();
    std::exception_ptr failure;
    try {
      if (!over) lead();
    } catch (...) {
      failure = std::current_exception();
    }
    {
      std::lock_guard lock(mutex);
      over = true;
      changed.notify_all();
    }
    if (failure) std::rethrow_exception(failure);
  });
  return taken;
}

}  // namespace throng
