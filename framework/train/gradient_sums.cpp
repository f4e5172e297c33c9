#include "framework/train/gradient_sums.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "framework/base/buffer.h"
#include "framework/base/thread_pool.h"
#include "framework/comm/host_memory.h"
#include "framework/tensor/bfloat16.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::train {
namespace {

using nn::Slice;

constexpr size_t kBlock = nn::kNormBlock;       // numbers summed at a time: eight shards' lie in the second cache

constexpr size_t kParts = 16;                   // of a bucket, for several threads: each of whole blocks
static_assert(GradientSums::kLeastBucket / kParts % kBlock == 0);

/// A subtree of the sum: shards [shard, shard + size).
struct Node {
  int shard, size;
};

/// The largest subtrees that lie in [first, end), in order.
std::vector<Node> subtrees(int first, int end) {
  std::vector<Node> nodes;
  while (first < end) {
    int size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= end) size *= 2;
    nodes.push_back({first, size});
    first += size;
  }
  return nodes;
}

/// Where a node's numbers lie; null where it is to be put together from its halves.
using Sources = std::vector<const float*>;  // by place in the tree: 1 the root, 2k and 2k + 1 the halves of k

size_t place_of(const Node& node, int shards) { return size_t(shards / node.size + node.shard / node.size); }

/// The sum of the node at `place` over `n` numbers from `at`: where it lies, or in `room`, which has kBlock numbers for each level.
const float* add_up(const Sources& sources, size_t place, size_t at, size_t n, float* room, bool rounds) {
  if (sources[place]) return sources[place] + at;
  const float *left = add_up(sources, 2 * place, at, n, room + kBlock, rounds), *right = add_up(sources, 2 * place + 1, at, n, room + 2 * kBlock, rounds);
  tensor::sum(left, right, room, n);
  if (rounds && place != 1) tensor::round_to_bfloat16({room, n});
  return room;
}

}  // namespace

struct GradientSums::State {
  comm::Communicator& comm;
  const nn::Parameters& parameters;
  const int shards, first, owned;
  const size_t stride;                             // numbers from the array of one shard to that of the next
  std::optional<comm::HostMemory> memory;          // of the gradients, where others may read them
  AlignedVector<float> own_memory;                 // otherwise
  std::vector<std::span<float>> gradients;         // of the shards of this rank; at least one
  bool all_have_read = true;                       // what this rank has let others read
  std::vector<Slice> buckets;
  std::vector<std::vector<Slice>> slices;          // by rank
  std::vector<std::vector<Node>> nodes;            // by rank
  std::vector<std::vector<uint32_t>> entry_buckets;  // by entry: the buckets it lies in
  std::vector<uint32_t> order;                     // of buckets, the same on all ranks
  const size_t room, bucket_numbers;
  const bool rounds;                               // to bfloat16
  std::vector<std::vector<uint16_t>> on_the_way;   // what is sent of this step, where it rounds

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<bool>> told;             // by shard and entry
  std::vector<size_t> missing;                     // by bucket: entries of shards
  std::vector<uint32_t> as_completed;              // buckets in the order in which they became whole
  bool ordered = false;                            // `order` is from a step, not a guess
  enum class Task { kWait, kSum, kEnd } task = Task::kWait;
  bool abandoned = false, started = false;
  std::exception_ptr failure;
  std::thread thread;

  State(comm::Communicator& c, const nn::Parameters& p, int num_shards, const Options& options)
      : comm(c), parameters(p), shards(num_shards), first(c.first_shard(c.rank(), num_shards)), owned(c.first_shard(c.rank() + 1, num_shards) - first), stride((p.dense_size() + 15) / 16 * 16), room(room_of(num_shards)), bucket_numbers(options.bucket),
        rounds(options.wire == Wire::kBfloat16 && num_shards > 1) {
    const size_t numbers = options.bucket;
    THRONG_CHECK(numbers > 0 && numbers % kLeastBucket == 0, "buckets of {}", numbers);
    const size_t size = p.dense_size();
    const size_t arrays = size_t(std::max(1, owned));
    if (options.host_memory && comm.size() > 1) memory.emplace(comm, arrays * stride * sizeof(float));
    else own_memory.resize(arrays * stride);
    float* begin = memory ? reinterpret_cast<float*>(memory->own().data()) : own_memory.data();
    for (size_t s = 0; s < arrays; ++s) gradients.emplace_back(begin + s * stride, size);
    for (size_t at = 0; at < size; at += numbers) buckets.push_back({at, std::min(size, at + numbers)});
    const size_t ranks = size_t(comm.size());
    slices.resize(ranks);
    for (size_t r = 0; r < ranks; ++r) {
      for (const Slice& bucket : buckets) slices[r].push_back(slice_of(bucket, r));
      nodes.push_back(subtrees(comm.first_shard(int(r), shards), comm.first_shard(int(r) + 1, shards)));
    }
    entry_buckets.resize(p.entries().size());
    for (size_t e = 0; e < entry_buckets.size(); ++e) {
      const auto& where = p.entries()[e].where;
      if (p.entries()[e].table || where.size() == 0) continue;
      for (size_t b = where.at / numbers; b <= (where.at + where.size() - 1) / numbers; ++b) entry_buckets[e].push_back(uint32_t(b));
    }
    // A guess for the first step: what lies last is used last, and whole first.
    order.resize(buckets.size());
    std::iota(order.rbegin(), order.rend(), 0u);
    missing.resize(buckets.size());
  }

  Slice slice_of(const Slice& bucket, size_t rank) const {
    const size_t ranks = size_t(comm.size()), blocks = (bucket.end - bucket.begin + kBlock - 1) / kBlock;
    auto border = [&](size_t r) { return std::min(bucket.end, bucket.begin + blocks * r / ranks * kBlock); };
    return {border(rank), rank + 1 == ranks ? bucket.end : border(rank + 1)};
  }

  static size_t room_of(int shards) {
    size_t levels = 1;
    while ((1 << levels) < shards) ++levels;
    return (2 * levels + 2) * kBlock;
  }
  float* thread_room() const {
    thread_local std::vector<float> numbers;
    if (numbers.size() < room) numbers.resize(room);
    return numbers.data();
  }

  /// Sums of the shards of this rank in place: the node's numbers lie with its first shard.
  void fold(const Node& node, size_t begin, size_t end) {
    for (int s = node.shard; rounds && s < node.shard + node.size; ++s) tensor::round_to_bfloat16(std::span(gradients[size_t(s - first)]).subspan(begin, end - begin));
    if (node.size == 1) return;
    Sources sources(size_t(2 * shards), nullptr);
    for (int s = node.shard; s < node.shard + node.size; ++s) sources[place_of({s, 1}, shards)] = gradients[size_t(s - first)].data();
    float* into = gradients[size_t(node.shard - first)].data();
    for (size_t at = begin; at < end; at += kBlock) {
      const size_t n = std::min(kBlock, end - at);
      std::memcpy(into + at, add_up(sources, place_of(node, shards), at, n, thread_room(), rounds), n * sizeof(float));
    }
  }

  /// Where the array of a shard of another rank can be read; null where it cannot.
  const float* there(int rank, int shard) const {
    if (!memory || memory->of(rank).data() == nullptr) return nullptr;
    return reinterpret_cast<const float*>(memory->of(rank).data()) + size_t(shard - comm.first_shard(rank, shards)) * stride;
  }
  bool read_by(int rank) const { return memory && memory->read_by(rank); }

  void send(int to, std::span<const float> values) {
    if (!rounds) return comm.put_view(to, std::as_bytes(values));
    auto& half = on_the_way.emplace_back(values.size());
    for (size_t i = 0; i < values.size(); ++i) half[i] = tensor::to_bfloat16(values[i]);
    comm.put_view(to, std::as_bytes(std::span(half)));
  }
  Buffer receive(int from, size_t numbers) {
    Buffer message = comm.take_one(from);
    THRONG_CHECK(message.size() == numbers * (rounds ? sizeof(uint16_t) : sizeof(float)), "{} bytes for a slice of {}", message.size(), numbers);
    if (!rounds) return message;
    Buffer whole(numbers * sizeof(float));
    const uint16_t* half = reinterpret_cast<const uint16_t*>(message.data());
    float* values = reinterpret_cast<float*>(whole.data());
    for (size_t i = 0; i < numbers; ++i) values[i] = tensor::from_bfloat16(half[i]);
    return whole;
  }

  void sum_bucket(const Slice& bucket, uint32_t number) {
    Collective collective(comm.line(), "the sum of gradients");
    const int me = comm.rank(), ranks = comm.size();
    for (const Node& node : nodes[size_t(me)]) fold(node, bucket.begin, bucket.end);
    for (int d = 1; d < ranks; ++d) {
      const int to = (me + d) % ranks;
      const Slice& slice = slices[size_t(to)][number];
      if (slice.begin == slice.end) continue;
      if (read_by(to)) {
        comm.put_view(to, {});
        continue;
      }
      for (const Node& node : nodes[size_t(me)]) send(to, std::span(gradients[size_t(node.shard - first)]).subspan(slice.begin, slice.end - slice.begin));
    }
    const Slice& mine = slices[size_t(me)][number];
    if (mine.begin == mine.end) return;
    Sources sources(size_t(2 * shards), nullptr);
    std::vector<Buffer> received;
    for (int d = 0; d < ranks; ++d) {
      const int from = (me - d + ranks) % ranks;
      const bool here = from != me && there(from, comm.first_shard(from, shards)) != nullptr;
      if (here) comm.take_one(from);
      for (const Node& node : nodes[size_t(from)]) {
        const float*& source = sources[place_of(node, shards)];
        if (from == me) {
          source = gradients[size_t(node.shard - first)].data() + mine.begin;
          continue;
        }
        if (here) {
          source = there(from, node.shard) + mine.begin;
          continue;
        }
        received.push_back(receive(from, mine.end - mine.begin));
        source = reinterpret_cast<const float*>(received.back().data());
      }
    }
    float* into = gradients[0].data() + mine.begin;
    for (size_t at = 0; at < mine.end - mine.begin; at += kBlock) {
      const size_t n = std::min(kBlock, mine.end - mine.begin - at);
      const float* sum = add_up(sources, 1, at, n, thread_room(), rounds);
      if (sum != into + at) std::memcpy(into + at, sum, n * sizeof(float));
    }
  }

  void sum_all() {
    for (uint32_t number : order) {
      {
        std::unique_lock lock(mutex);
        // Others may wait for what this rank has begun to send.
        while (missing[number] > 0 && !abandoned) {
          if (changed.wait_for(lock, std::chrono::milliseconds(2), [&] { return missing[number] == 0 || abandoned; })) break;
          lock.unlock();
          comm.transport().check();
          lock.lock();
        }
        if (abandoned) return;
      }
      sum_bucket(buckets[number], number);
    }
  }

  void run() {
    flush_denormals();
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return task != Task::kWait; });
        if (task == Task::kEnd) return;
      }
      std::exception_ptr caught;
      try {
        sum_all();
      } catch (...) {
        caught = std::current_exception();
      }
      std::lock_guard lock(mutex);
      failure = caught, task = Task::kWait;
      changed.notify_all();
    }
  }

  /// The order in which buckets became whole on the rank of shard 0, for all steps to come.
  void agree_on_order() {
    ordered = true;
    const int root = comm.owner_of_shard(0, shards);
    std::string text(reinterpret_cast<const char*>(as_completed.data()), as_completed.size() * sizeof(uint32_t));
    comm.broadcast(text, root);
    THRONG_CHECK(text.size() == order.size() * sizeof(uint32_t), "{} bytes for an order of {} buckets", text.size(), order.size());
    if (!text.empty()) std::memcpy(order.data(), text.data(), text.size());
  }
};

GradientSums::GradientSums(comm::Communicator& comm, const nn::Parameters& parameters, int shards, const Options& options)
    : comm_(comm), state_(std::make_unique<State>(comm, parameters, shards, options)) {
  if (options.background && comm.size() > 1 && comm.transport().any_thread()) state_->thread = std::thread([this] { state_->run(); });
}

GradientSums::~GradientSums() {
  if (!state_->thread.joinable()) return;
  abandon();
  {
    std::lock_guard lock(state_->mutex);
    state_->task = State::Task::kEnd;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

void GradientSums::begin() {
  State& s = *state_;
  comm_.settle();  // gradients of the last step may be on their way
  s.on_the_way.clear();
  if (!std::exchange(s.all_have_read, true)) comm_.barrier();
  std::lock_guard lock(s.mutex);
  s.told.assign(size_t(s.owned), std::vector<bool>(s.entry_buckets.size(), false));
  std::fill(s.missing.begin(), s.missing.end(), 0);
  for (const auto& buckets : s.entry_buckets)
    for (uint32_t b : buckets) s.missing[b] += size_t(s.owned);
  s.as_completed.clear();
  if (s.owned == 0)
    for (uint32_t b = 0; b < s.buckets.size(); ++b) s.as_completed.push_back(b);
}

void GradientSums::start() {
  State& s = *state_;
  if (!s.thread.joinable()) return;
  comm_.set_waits(comm::Waits::kGently);
  std::lock_guard lock(s.mutex);
  s.task = State::Task::kSum, s.started = true;
  s.changed.notify_all();
}

std::span<float> GradientSums::of(size_t shard) { return state_->gradients.at(shard); }

void GradientSums::complete(size_t shard, size_t entry) {
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  if (s.told[shard][entry]) return;
  s.told[shard][entry] = true;
  bool whole = false;
  for (uint32_t b : s.entry_buckets[entry])
    if (--s.missing[b] == 0) s.as_completed.push_back(b), whole = true;
  if (whole) s.changed.notify_all();
}

void GradientSums::complete(size_t shard) {
  for (size_t e = state_->entry_buckets.size(); e-- > 0;) complete(shard, e);
}

void GradientSums::finish(ThreadPool& pool) {
  State& s = *state_;
  if (s.thread.joinable()) {
    comm_.set_waits(comm::Waits::kAtOnce);
    std::unique_lock lock(s.mutex);
    THRONG_CHECK(std::exchange(s.started, false), "sums that were not started");
    s.changed.wait(lock, [&] { return s.task == State::Task::kWait; });
    if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
  } else if (comm_.size() == 1) {
    pool.parallel_for(s.buckets.size() * kParts, [&](size_t i) {
      const Slice& bucket = s.buckets[i / kParts];
      const size_t part = s.bucket_numbers / kParts, begin = std::min(bucket.end, bucket.begin + i % kParts * part);
      if (begin < bucket.end) s.fold({0, s.shards}, begin, std::min(bucket.end, begin + part));
    });
  } else {
    s.sum_all();
  }
  s.all_have_read = !s.memory || !s.memory->anyone_reads();
  if (comm_.size() > 1 && !s.ordered) s.agree_on_order();
}

void GradientSums::abandon() {
  State& s = *state_;
  if (!s.thread.joinable()) return;
  comm_.set_waits(comm::Waits::kNoMore);
  std::unique_lock lock(s.mutex);
  s.abandoned = true;
  s.changed.notify_all();
  s.changed.wait(lock, [&] { return s.task == State::Task::kWait; });
  s.abandoned = s.started = false, s.failure = nullptr;
  comm_.set_waits(comm::Waits::kAtOnce);
}

const std::vector<nn::Slice>& GradientSums::slices(int rank) const { return state_->slices.at(size_t(rank)); }

std::span<float> GradientSums::sum() { return state_->gradients[0]; }

void GradientSums::share(std::span<float> values) {
  Collective collective(comm_.line(), "the sharing of weights");
  State& s = *state_;
  const int me = comm_.rank(), ranks = comm_.size();
  const auto of_slices = [&](int rank, const auto& visit) {
    for (const Slice& slice : slices(rank))
      if (slice.begin < slice.end) visit(slice);
  };
  // For those who read it here, in the array of the first shard, of which no one else wants this rank's slices.
  if (s.memory && values.data() != s.gradients[0].data())
    of_slices(me, [&](const Slice& slice) { std::memcpy(&s.gradients[0][slice.begin], &values[slice.begin], (slice.end - slice.begin) * sizeof(float)); });
  for (int d = 1; d < ranks; ++d) {
    const int to = (me + d) % ranks;
    if (s.read_by(to)) comm_.put_view(to, {});
    else of_slices(me, [&](const Slice& slice) { comm_.put_view(to, std::as_bytes(values.subspan(slice.begin, slice.end - slice.begin))); });
  }
  for (int d = 1; d < ranks; ++d) {
    const int from = (me - d + ranks) % ranks;
    const float* there = s.there(from, comm_.first_shard(from, s.shards));
    if (there) comm_.take_one(from);
    of_slices(from, [&](const Slice& slice) {
      const size_t bytes = (slice.end - slice.begin) * sizeof(float);
      if (there) {
        std::memcpy(values.data() + slice.begin, there + slice.begin, bytes);
        return;
      }
      const Buffer message = comm_.take_one(from);
      THRONG_CHECK(message.size() == bytes, "{} bytes of weights from rank {}", message.size(), from);
      std::memcpy(values.data() + slice.begin, message.data(), bytes);
    });
  }
  comm_.settle();
  if (s.memory && s.memory->anyone_reads()) comm_.barrier();
  s.all_have_read = true;
}

}  // namespace throng::train
