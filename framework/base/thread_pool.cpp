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
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake, done;
  const std::function<void(size_t)>* body = nullptr;
  size_t num_items = 0;
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed_at{SIZE_MAX};
  std::exception_ptr failure;
  size_t generation = 0;
  int working = 0;
  bool stopping = false;

  void work() {
    for (;;) {
      size_t i = next.fetch_add(1);
      if (i >= num_items || i > failed_at.load()) return;
      try {
        (*body)(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (i < failed_at.load()) failed_at = i, failure = std::current_exception();
      }
    }
  }

  void loop() {
    flush_denormals();
    size_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping) return;
      seen = generation;
      lock.unlock();
      work();
      lock.lock();
      if (--working == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  for (int i = 1; i < num_threads; ++i) state_->threads.emplace_back([s = state_.get()] { s->loop(); });
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

void ThreadPool::parallel_for(size_t n, const std::function<void(size_t)>& body) {
  if (n == 0) return;
  if (n == 1 || state_->threads.empty()) {
    for (size_t i = 0; i < n; ++i) body(i);
    return;
  }
  auto& s = *state_;
  {
    std::lock_guard lock(s.mutex);
    s.body = &body;
    s.num_items = n;
    s.next = 0;
    s.failed_at = SIZE_MAX;
    s.failure = nullptr;
    s.working = int(s.threads.size());
    ++s.generation;
  }
  s.wake.notify_all();
  s.work();
  std::unique_lock lock(s.mutex);
  s.done.wait(lock, [&] { return s.working == 0; });
  if (s.failure) std::rethrow_exception(s.failure);
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
