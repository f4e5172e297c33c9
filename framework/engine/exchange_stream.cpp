#include "framework/engine/exchange_stream.h"

#include <algorithm>
#include <cstring>

namespace throng::engine {
namespace {

constexpr size_t kMostMessageBytes = size_t{4} << 20;
constexpr size_t kMostBatchBytes = size_t{1} << 20, kMostBatchedBytes = size_t{32} << 10;  // a block beyond that is not copied into a message
constexpr size_t kMessagesInWindow = 4, kBatchedInMessage = 4;
constexpr size_t kSmallMessageBytes = size_t{64} << 10;  // below it, two in a window: a message costs more than its bytes
constexpr uint64_t kBlocksBetweenPolls = 64;  // small ones, which only fill a message
struct BatchEntry {
  int64_t partition;
  uint64_t length;
};

// The tree that counts go up and sums go down.
int parent_of(int rank) { return (rank - 1) / 2; }
template <class F>
int for_children(int rank, int size, F&& f) {
  int n = 0;
  for (int child = 2 * rank + 1; child <= 2 * rank + 2 && child < size; ++child, ++n) f(child);
  return n;
}

comm::Channel channel_of(uint64_t exchange) { return exchange % 2 ? comm::Channel::kExchangeOdd : comm::Channel::kExchangeEven; }

}  // namespace

StreamPath::StreamPath(comm::Communicator& comm, uint64_t sequence, Buckets& buckets)
    : comm_(comm),
      exchange_(sequence),
      buckets_(buckets),
      memory_(comm, buckets.resources().memory),
      window_(memory_.share_bytes() / uint64_t(std::max(1, comm.size() - 1))),
      message_bytes_(std::min(std::max(size_t(window_) / kMessagesInWindow, std::min(size_t(window_) / 2, kSmallMessageBytes)), kMostMessageBytes)),
      batch_bytes_(std::min(message_bytes_, kMostBatchBytes)),
      peers_(size_t(comm.size())) {
  begin_round();
}

void StreamPath::begin_round() {
  for (auto& peer : peers_) {
    peer.credit = window_;
    peer.owed = peer.uncredited = peer.to_grant = 0;
  }
  owed_ = expected_ = received_ = 0;
  counts_.assign(peers_.size(), 0);
  awaited_counts_.clear();
  for_children(comm_.rank(), comm_.size(), [&](int child) { awaited_counts_.push_back(child); });
  counts_sent_ = sums_known_ = false;
}

void StreamPath::send(int to, int64_t partition, Buffer block) {
  if (block.size() > std::min(batch_bytes_ / kBatchedInMessage, kMostBatchedBytes)) enqueue(to, {Kind::kBlock, partition, std::move(block)});
  else if (append(peers_[size_t(to)], partition, block)) push(to);
  else if (++unsent_ % kBlocksBetweenPolls) return;
  while (progress()) {
  }
  Activity wait(comm_.line());
  for (uint64_t spins = 0; queued_ > memory_.share_bytes();)
    if (!progress()) {
      tell_wait(wait, spins);
      comm_.transport().idle();
    }
  if (wait.begun()) comm_.line().set_queues(queued_, owed_, held_ + assembling_);
  if (since_reaped_ > memory_.share_bytes() / 4) comm_.transport().bytes_in_flight(), since_reaped_ = 0;
}

// Adds a small block to the next message; true where that made one full.
bool StreamPath::append(Peer& peer, int64_t partition, const Buffer& block) {
  const size_t added = sizeof(BatchEntry) + block.size();
  const bool full = peer.batch.size() + added + sizeof(Trailer) > batch_bytes_;
  if (full) {
    peer.queue.push_back({Kind::kBatch, 0, std::move(peer.batch)});
    peer.batch = Buffer();
  }
  if (peer.batch.empty()) peer.batch.reserve(batch_bytes_);
  const BatchEntry entry{partition, block.size()};
  append_bytes(peer.batch, &entry, sizeof entry);
  append_bytes(peer.batch, block.data(), block.size());
  queued_ += added;
  return full;
}

void StreamPath::enqueue(int to, Outgoing outgoing) {
  queued_ += outgoing.bytes.size();
  peers_[size_t(to)].queue.push_back(std::move(outgoing));
  push(to);
}

// Posts what credit allows.
void StreamPath::push(int to) {
  Peer& peer = peers_[size_t(to)];
  note_peak();
  while (!peer.queue.empty()) {
    Outgoing& out = peer.queue.front();
    const size_t n = std::min(out.bytes.size() - out.sent, message_bytes_ - sizeof(Trailer)), cost = n + sizeof(Trailer);
    if (cost > peer.credit) return;
    const bool whole = n == out.bytes.size();
    Trailer trailer{.partition = out.partition, .length = out.bytes.size(), .kind = whole ? out.kind : Kind::kPart};
    Buffer message;
    if (whole) {
      message = std::move(out.bytes);
    } else {
      message.reserve(cost);
      append_bytes(message, out.bytes.data() + out.sent, n);
    }
    out.sent += n;
    queued_ -= n;
    if (whole || out.sent == trailer.length) peer.queue.pop_front();
    peer.credit -= cost, peer.owed += cost, owed_ += cost, since_reaped_ += cost;
    if (asks_for_credit(peer.uncredited, cost)) peer.uncredited = 0, ++credits_to_come_;
    ++counts_[size_t(to)];
    post(to, std::move(message), trailer);
  }
}

// Whether a message is one that brings a credit: the same rule on either side.
bool StreamPath::asks_for_credit(uint64_t& since, uint64_t cost) const {
  since += cost;
  return since >= window_ / 2;
}

void StreamPath::post(int to, Buffer message, Trailer trailer) {
  trailer.number = peers_[size_t(to)].next_to++;
  trailer.exchange = exchange_;
  append_bytes(message, &trailer, sizeof trailer);
  comm_.line().totals().sent_bytes.fetch_add(message.size(), std::memory_order_relaxed);
  comm_.transport().post(to, channel_of(exchange_), std::move(message));
}

// Receives a message; false where there is none.
bool StreamPath::progress() {
  auto arrived = comm_.transport().poll(-1, channel_of(exchange_));
  if (!arrived) return false;
  const int from = arrived->from;
  Peer& peer = peers_[size_t(from)];
  Incoming incoming{{}, std::move(arrived->message)};
  incoming.cost = incoming.bytes.size();
  comm_.line().totals().received_bytes.fetch_add(incoming.cost, std::memory_order_relaxed);
  THRONG_CHECK(incoming.cost >= sizeof(Trailer), "rank {} sent a message of {} bytes to exchange {}", from, incoming.cost, exchange_);
  std::memcpy(&incoming.trailer, incoming.bytes.data() + incoming.cost - sizeof(Trailer), sizeof(Trailer));
  incoming.bytes.resize(incoming.cost - sizeof(Trailer));
  THRONG_CHECK(incoming.trailer.exchange == exchange_, "rank {} sent a message of exchange {} to exchange {}", from, incoming.trailer.exchange, exchange_);
  THRONG_CHECK(incoming.trailer.number == peer.next_from, "rank {} sent message {} of exchange {} where message {} is next: one was lost, or they changed places", from,
               incoming.trailer.number, exchange_, peer.next_from);
  ++peer.next_from;
  if (control(from, incoming)) return true;
  ++received_;
  if (!peer.held.empty() || !consume(from, incoming)) {
    held_ += incoming.cost;
    peer.held.push_back(std::move(incoming));
  }
  note_peak();
  serve_waiting();
  return true;
}

// Takes a message that brings no rows; false of others.
bool StreamPath::control(int from, const Incoming& incoming) {
  Peer& peer = peers_[size_t(from)];
  switch (incoming.trailer.kind) {
    case Kind::kBatch:
    case Kind::kBlock:
    case Kind::kPart: return false;
    case Kind::kCredit: {
      const uint64_t granted = incoming.trailer.length;
      THRONG_CHECK(granted <= peer.owed && credits_to_come_ > 0, "rank {} granted {} bytes of {} sent", from, granted, peer.owed);
      peer.credit += granted, peer.owed -= granted, owed_ -= granted;
      --credits_to_come_;
      push(from);
      return true;
    }
    case Kind::kCounts:
    case Kind::kSums: {
      std::vector<uint64_t> numbers(counts_.size());
      THRONG_CHECK(incoming.bytes.size() == numbers.size() * sizeof(uint64_t), "rank {} sent {} bytes as counts of {} ranks", from, incoming.bytes.size(), numbers.size());
      std::memcpy(numbers.data(), incoming.bytes.data(), incoming.bytes.size());
      if (incoming.trailer.kind == Kind::kSums) {
        take_sums(numbers);
      } else {
        THRONG_CHECK(std::erase(awaited_counts_, from) == 1, "rank {} sent its counts of exchange {} twice", from, exchange_);
        for (size_t r = 0; r < numbers.size(); ++r) counts_[r] += numbers[r];
      }
      return true;
    }
  }
  throw bug("a message of kind {}", int(incoming.trailer.kind));
}

// Once this rank has posted all it has and the ranks below in the tree have said their counts.
void StreamPath::send_counts() {
  counts_sent_ = true;
  if (comm_.rank() == 0) return take_sums(counts_);
  Buffer message;
  append_bytes(message, counts_.data(), counts_.size() * sizeof(uint64_t));
  post(parent_of(comm_.rank()), std::move(message), {.kind = Kind::kCounts});
}

void StreamPath::take_sums(const std::vector<uint64_t>& sums) {
  THRONG_CHECK(counts_sent_ && !sums_known_, "sums of exchange {} came before all counts, or twice", exchange_);
  sums_known_ = true;
  expected_ = sums[size_t(comm_.rank())];
  for_children(comm_.rank(), comm_.size(), [&](int child) {
    Buffer message;
    append_bytes(message, sums.data(), sums.size() * sizeof(uint64_t));
    post(child, std::move(message), {.kind = Kind::kSums});
  });
}

// Moves what a message brings to the buckets; false where it must wait for its turn.
bool StreamPath::consume(int from, Incoming& incoming) {
  Peer& peer = peers_[size_t(from)];
  const Trailer& trailer = incoming.trailer;
  Buffer& bytes = incoming.bytes;
  switch (trailer.kind) {
    case Kind::kBatch:
      for (size_t at = 0; at < bytes.size();) {
        BatchEntry entry;
        THRONG_CHECK(bytes.size() - at >= sizeof entry, "a batch of exchange {} ends within an entry", exchange_);
        std::memcpy(&entry, bytes.data() + at, sizeof entry);
        at += sizeof entry;
        THRONG_CHECK(entry.length <= bytes.size() - at, "a block of {} bytes in {} left of a batch", entry.length, bytes.size() - at);
        Buffer block(entry.length);
        if (entry.length) std::memcpy(block.data(), bytes.data() + at, entry.length);
        at += entry.length;
        buckets_.add(entry.partition, std::move(block));
      }
      break;
    case Kind::kBlock: buckets_.add(trailer.partition, std::move(bytes)); break;
    case Kind::kPart:
      if (peer.filled == 0) {
        if (assembling_ > 0 && assembling_ + trailer.length > memory_.share_bytes()) {
          if (std::find(waiting_.begin(), waiting_.end(), from) == waiting_.end()) waiting_.push_back(from);
          return false;
        }
        assembling_ += trailer.length;
        peer.block.resize(trailer.length);
      }
      THRONG_CHECK(bytes.size() <= peer.block.size() - peer.filled, "{} bytes for {} left of a block", bytes.size(), peer.block.size() - peer.filled);
      std::memcpy(peer.block.data() + peer.filled, bytes.data(), bytes.size());
      peer.filled += bytes.size();
      if (peer.filled == peer.block.size()) {
        note_peak();
        assembling_ -= peer.filled;
        peer.filled = 0;
        buckets_.add(trailer.partition, std::exchange(peer.block, Buffer()));
      }
      break;
    case Kind::kCredit:
    case Kind::kCounts:
    case Kind::kSums: throw bug("a message of exchange {} without rows waited behind rows", exchange_);
  }
  if (asks_for_credit(peer.to_grant, incoming.cost)) post(from, Buffer(), {.length = std::exchange(peer.to_grant, 0), .kind = Kind::kCredit});
  return true;
}

// Goes on with held messages where a block's turn has come.
void StreamPath::serve_waiting() {
  while (!waiting_.empty()) {
    const int from = waiting_.front();
    Peer& peer = peers_[size_t(from)];
    while (!peer.held.empty()) {
      const uint64_t cost = peer.held.front().cost;
      if (!consume(from, peer.held.front())) break;
      held_ -= cost;
      peer.held.pop_front();
    }
    if (!peer.held.empty()) return;  // the first in line still waits
    waiting_.pop_front();
  }
}

void StreamPath::note_peak() { peak_ = std::max(peak_, queued_ + owed_ + held_ + assembling_); }

// The rank that what this one waits for must come from; -1 where that is not known.
int StreamPath::blocking_peer() const {
  auto first = [&](auto&& is) {
    const auto peer = std::find_if(peers_.begin(), peers_.end(), is);
    return peer == peers_.end() ? -1 : int(peer - peers_.begin());
  };
  if (queued_ > 0) return first([](const Peer& p) { return !p.queue.empty(); });
  if (!awaited_counts_.empty()) return awaited_counts_.front();
  if (!sums_known_) return comm_.rank() == 0 ? -1 : parent_of(comm_.rank());
  if (!waiting_.empty()) return waiting_.front();
  if (received_ < expected_) return first([](const Peer& p) { return p.filled > 0; });
  return first([](const Peer& p) { return p.owed > p.uncredited; });
}

void StreamPath::tell_wait(Activity& wait, uint64_t& spins) {
  if (!wait.begun()) wait.begin(Doing::kExchange, "", -1, int64_t(exchange_));
  if (spins++ % 256) return;
  wait.set_peer(blocking_peer());
  comm_.line().set_queues(queued_, owed_, held_ + assembling_);
}

bool StreamPath::drain(bool done) {
  for (int d = 1; d < comm_.size(); ++d) {
    const int to = (comm_.rank() + d) % comm_.size();
    Peer& peer = peers_[size_t(to)];
    if (peer.batch.empty()) continue;
    peer.queue.push_back({Kind::kBatch, 0, std::exchange(peer.batch, Buffer())});
    push(to);
  }
  {
    Activity wait(comm_.line());
    for (uint64_t spins = 0;;) {
      if (queued_ == 0 && awaited_counts_.empty() && !counts_sent_) send_counts();
      if (sums_known_ && received_ == expected_ && credits_to_come_ == 0 && waiting_.empty()) break;
      if (progress()) continue;
      tell_wait(wait, spins);
      comm_.transport().idle();
    }
  }
  comm_.line().set_queues(0, 0, 0);
  // Blocks of the next round wait until every rank has those of this one: no message is left in the network.
  const bool all_done = comm_.allreduce(done ? 1 : 0, comm::Op::kMin) == 1;
  comm_.transport().bytes_in_flight();
  begin_round();
  return all_done;
}

}  // namespace throng::engine
