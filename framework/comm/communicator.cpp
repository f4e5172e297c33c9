#include "framework/comm/communicator.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace throng::comm {
namespace {

Buffer to_buffer(std::string_view text) {
  Buffer b(text.size());
  if (!text.empty()) std::memcpy(b.data(), text.data(), text.size());
  return b;
}
std::string to_string(const Buffer& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

template <class T>
void combine(std::span<T> into, std::span<const T> other, Op op) {
  THRONG_CHECK(into.size() == other.size(), "{} and {} elements in one reduction", into.size(), other.size());
  for (size_t i = 0; i < into.size(); ++i) {
    switch (op) {
      case Op::kSum: into[i] += other[i]; break;
      case Op::kMin: into[i] = std::min(into[i], other[i]); break;
      case Op::kMax: into[i] = std::max(into[i], other[i]); break;
    }
  }
}

template <class T>
std::span<const T> view_as(const Buffer& b) {
  return {reinterpret_cast<const T*>(b.data()), b.size() / sizeof(T)};
}

}  // namespace

Buffer Communicator::wait_message(int from) {
  Activity wait(*line_);
  for (;;) {
    if (auto incoming = transport_->poll(from, Channel::kCollective)) {
      line_->totals().received_bytes.fetch_add(incoming->message.size(), std::memory_order_relaxed);
      return std::move(incoming->message);
    }
    if (!wait.begun() && waits_ == Waits::kAtOnce) wait.begin(Doing::kCollective, Collective::name_on(*line_), from);
    switch (waits_) {
      case Waits::kAtOnce: transport_->idle(); break;
      case Waits::kGently: ::usleep(500), transport_->check(); break;
      case Waits::kNoMore: throw WaitEnded();
    }
  }
}

// The first message carries the total length, so that the receiver knows how many follow.
void Communicator::put(int to, std::span<const std::byte> bytes) {
  line_->totals().sent_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  uint64_t total = bytes.size();
  size_t first = std::min(bytes.size(), kMaxMessageBytes - sizeof total);
  Buffer message(sizeof total + first);
  std::memcpy(message.data(), &total, sizeof total);
  if (first) std::memcpy(message.data() + sizeof total, bytes.data(), first);
  transport_->post(to, Channel::kCollective, std::move(message));
  for (size_t at = first; at < bytes.size(); at += kMaxMessageBytes) {
    auto part = bytes.subspan(at, std::min(kMaxMessageBytes, bytes.size() - at));
    transport_->post(to, Channel::kCollective, Buffer(part.begin(), part.end()));
  }
}

Buffer Communicator::take(int from) {
  Buffer message = wait_message(from);
  uint64_t total = 0;
  THRONG_CHECK(message.size() >= sizeof total, "a message of {} bytes has no header", message.size());
  std::memcpy(&total, message.data(), sizeof total);
  Buffer result(total);
  size_t at = message.size() - sizeof total;
  if (at) std::memcpy(result.data(), message.data() + sizeof total, at);
  while (at < total) {
    message = wait_message(from);
    THRONG_CHECK(at + message.size() <= total, "{} bytes where {} were announced", at + message.size(), total);
    std::memcpy(result.data() + at, message.data(), message.size());
    at += message.size();
  }
  return result;
}

void Communicator::settle() {
  Activity wait(*line_);
  while (transport_->views_in_flight() > 0) {
    if (!wait.begun()) wait.begin(Doing::kCollective, "its messages to be taken");
    transport_->idle();
  }
}

void Communicator::barrier() {
  Collective collective(*line_, "a barrier");
  for (int distance = 1; distance < size(); distance *= 2) {
    put((rank() + distance) % size(), {});
    take((rank() - distance + size()) % size());
  }
}

void Communicator::broadcast_bytes(Buffer& bytes, int root) {
  int me = (rank() - root + size()) % size();  // binomial tree over ranks relative to the root
  int bit = 1;
  while (bit < size() && !(me & bit)) bit *= 2;
  if (me != 0) bytes = take((me - bit + root) % size());
  for (bit /= 2; bit > 0; bit /= 2)
    if (me + bit < size()) put((me + bit + root) % size(), bytes);
}

void Communicator::broadcast(std::string& text, int root) {
  Collective collective(*line_, "a broadcast");
  Buffer bytes = rank() == root ? to_buffer(text) : Buffer();
  broadcast_bytes(bytes, root);
  if (rank() != root) text = to_string(bytes);
}

void Communicator::broadcast(std::span<float> values, int root) {
  if (size() == 1) return;
  Collective collective(*line_, "a broadcast");
  Buffer bytes;
  if (rank() == root) {
    bytes.resize(values.size_bytes());
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  broadcast_bytes(bytes, root);
  THRONG_CHECK(bytes.size() == values.size_bytes(), "broadcast of {} bytes into {}", bytes.size(), values.size_bytes());
  if (rank() != root && !bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
}

std::vector<std::string> Communicator::gather(const std::string& text, int root) {
  Collective collective(*line_, "a gather");
  if (rank() != root) {
    put(root, std::as_bytes(std::span(text)));
    return {};
  }
  std::vector<std::string> all(size_t(size()), text);
  for (int r = 0; r < size(); ++r)
    if (r != root) all[size_t(r)] = to_string(take(r));
  return all;
}

std::vector<std::string> Communicator::allgather(const std::string& text) {
  Collective collective(*line_, "an allgather");
  // Ring: step s passes on what rank - s sent, so that each link carries size - 1 messages.
  std::vector<std::string> all(static_cast<size_t>(size()));
  all[size_t(rank())] = text;
  for (int step = 0; step + 1 < size(); ++step) {
    int pass = (rank() - step + size()) % size(), come = (rank() - step - 1 + size()) % size();
    put((rank() + 1) % size(), std::as_bytes(std::span(all[size_t(pass)])));
    all[size_t(come)] = to_string(take((rank() - 1 + size()) % size()));
  }
  return all;
}

template <class T>
void Communicator::allreduce_of(std::span<T> values, Op op) {
  Collective collective(*line_, "an allreduce");
  for (int bit = 1; bit < size(); bit *= 2) {
    if (rank() & bit) {
      put(rank() - bit, std::as_bytes(values));
      break;
    }
    if (rank() + bit < size()) combine(values, view_as<T>(take(rank() + bit)), op);
  }
  Buffer result;
  if (rank() == 0) {
    result.resize(values.size_bytes());
    if (!result.empty()) std::memcpy(result.data(), values.data(), result.size());
  }
  broadcast_bytes(result, 0);
  if (rank() != 0 && !result.empty()) std::memcpy(values.data(), result.data(), result.size());
}

void Communicator::allreduce(std::span<int64_t> values, Op op) {
  if (size() > 1) allreduce_of(values, op);
}

int64_t Communicator::allreduce(int64_t value, Op op) {
  allreduce(std::span(&value, 1), op);
  return value;
}

double Communicator::allreduce_extreme(double value, Op op) {
  THRONG_CHECK(op != Op::kSum, "sums of floats depend on their order");
  if (size() > 1) allreduce_of(std::span(&value, 1), op);
  return value;
}

std::vector<Buffer> Communicator::alltoall(std::vector<Buffer> messages) {
  Collective collective(*line_, "an all-to-all");
  THRONG_CHECK(messages.size() == size_t(size()), "{} messages for {} ranks", messages.size(), size());
  {
    Activity wait(*line_, Doing::kCollective, "an all-to-all");
    if (auto received = transport_->alltoall(messages)) {
      for (const auto& message : messages) line_->totals().sent_bytes.fetch_add(message.size(), std::memory_order_relaxed);
      for (const auto& message : *received) line_->totals().received_bytes.fetch_add(message.size(), std::memory_order_relaxed);
      return std::move(*received);
    }
  }
  std::vector<Buffer> received(messages.size());
  for (int d = 1; d < size(); ++d) put((rank() + d) % size(), messages[size_t((rank() + d) % size())]);
  received[size_t(rank())] = std::move(messages[size_t(rank())]);
  for (int d = 1; d < size(); ++d) {
    int from = (rank() - d + size()) % size();
    received[size_t(from)] = take(from);
  }
  return received;
}

int Communicator::owner_of_shard(int shard, int num_shards) const {
  int r = std::min(size() - 1, int((int64_t{shard} * size()) / num_shards));
  while (r > 0 && first_shard(r, num_shards) > shard) --r;
  while (r + 1 < size() && first_shard(r + 1, num_shards) <= shard) ++r;
  return r;
}

template <class T>
void Communicator::sum_shards_of(std::vector<std::span<T>>& mine, int num_shards, std::span<T> out) {
  Collective collective(*line_, "a sum over shards");
  THRONG_CHECK(num_shards > 0 && (num_shards & (num_shards - 1)) == 0, "{} shards", num_shards);
  const int first = first_shard(rank(), num_shards), end = first_shard(rank() + 1, num_shards);
  THRONG_CHECK(int(mine.size()) == end - first, "{} shards held, {} owned", mine.size(), end - first);
  // A node is held by the owner of its leftmost shard; the right half's holder sends its sum there.
  for (int half = 1; half < num_shards; half *= 2) {
    for (int left = 0; left < num_shards; left += 2 * half) {
      int right = left + half;
      bool have_left = left >= first && left < end, have_right = right >= first && right < end;
      if (have_right && !have_left) put(owner_of_shard(left, num_shards), std::as_bytes(mine[size_t(right - first)]));
      if (!have_left) continue;
      auto sum = mine[size_t(left - first)];
      if (have_right)
        combine(sum, std::span<const T>(mine[size_t(right - first)]), Op::kSum);
      else
        combine(sum, view_as<T>(take(owner_of_shard(right, num_shards))), Op::kSum);
    }
  }
  const int root = owner_of_shard(0, num_shards);
  Buffer result;
  if (rank() == root) {
    if (!out.empty()) std::memcpy(out.data(), mine[0].data(), out.size_bytes());
    if (size() == 1) return;
    auto bytes = std::as_bytes(out);
    result.assign(bytes.begin(), bytes.end());
  }
  broadcast_bytes(result, root);
  if (rank() != root && !out.empty()) std::memcpy(out.data(), result.data(), out.size_bytes());
}

void Communicator::sum_shards(std::vector<std::span<float>> mine, int num_shards, std::span<float> out) {
  sum_shards_of(mine, num_shards, out);
}
void Communicator::sum_shards(std::vector<std::span<double>> mine, int num_shards, std::span<double> out) {
  sum_shards_of(mine, num_shards, out);
}

}  // namespace throng::comm
