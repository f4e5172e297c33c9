#include "framework/engine/exchange_stream.h"

#include <algorithm>
#include <cstring>

namespace throng::engine {
namespace {

constexpr size_t kMostMessageBytes = size_t{4} << 20;
constexpr size_t kMostBatchBytes = size_t{1} << 20, kMostBatchedBytes = size_t{32} << 10;  // a block beyond that is not copied into a message
constexpr size_t kMessagesInWindow = 4, kBatchedInMessage = 4;
constexpr uint64_t kBlocksBetweenPolls = 64;  // small ones, which only fill a message
struct BatchEntry {
  int64_t partition;
  uint64_t length;
};

comm::Channel channel_of(uint64_t exchange) { return exchange % 2 ? comm::Channel::kExchangeOdd : comm::Channel::kExchangeEven; }

}  // namespace

StreamPath::StreamPath(comm::Communicator& comm, uint64_t sequence, Buckets& buckets)
    : comm_(comm),
      exchange_(sequence),
      buckets_(buckets),
      memory_(comm, buckets.resources().memory),
      window_(memory_.share_bytes() / uint64_t(std::max(1, comm.size() - 1))),
      message_bytes_(std::min(size_t(window_) / kMessagesInWindow, kMostMessageBytes)),
      batch_bytes_(std::min(message_bytes_, kMostBatchBytes)),
      peers_(size_t(comm.size())),
      open_streams_(comm.size() - 1) {
  for (auto& peer : peers_) peer.credit = window_;
}

void StreamPath::send(int to, int64_t partition, Buffer block) {
  if (block.size() > std::min(batch_bytes_ / kBatchedInMessage, kMostBatchedBytes)) enqueue(to, {Kind::kBlock, partition, std::move(block)});
  else if (append(peers_[size_t(to)], partition, block)) push(to);
  else if (++unsent_ % kBlocksBetweenPolls) return;
  while (progress()) {
  }
  while (queued_ > memory_.share_bytes())
    if (!progress()) comm_.transport().idle();
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
    const bool ends = out.kind == Kind::kRoundEnd;
    if (!ends && cost > peer.credit) return;
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
    if (!ends) peer.credit -= cost, peer.owed += cost, owed_ += cost, since_reaped_ += cost;
    post(to, std::move(message), trailer);
  }
}

void StreamPath::post(int to, Buffer message, Trailer trailer) {
  trailer.number = peers_[size_t(to)].next_to++;
  trailer.exchange = exchange_;
  append_bytes(message, &trailer, sizeof trailer);
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
  THRONG_CHECK(incoming.cost >= sizeof(Trailer), "rank {} sent a message of {} bytes to exchange {}", from, incoming.cost, exchange_);
  std::memcpy(&incoming.trailer, incoming.bytes.data() + incoming.cost - sizeof(Trailer), sizeof(Trailer));
  incoming.bytes.resize(incoming.cost - sizeof(Trailer));
  THRONG_CHECK(incoming.trailer.exchange == exchange_, "rank {} sent a message of exchange {} to exchange {}", from, incoming.trailer.exchange, exchange_);
  THRONG_CHECK(incoming.trailer.number == peer.next_from, "rank {} sent message {} of exchange {} where message {} is next: one was lost, or they changed places", from,
               incoming.trailer.number, exchange_, peer.next_from);
  ++peer.next_from;
  if (incoming.trailer.kind == Kind::kCredit) {
    const uint64_t granted = incoming.trailer.length;
    THRONG_CHECK(granted <= peer.owed, "rank {} granted {} bytes of {} sent", from, granted, peer.owed);
    peer.credit += granted, peer.owed -= granted, owed_ -= granted;
    push(from);
    return true;
  }
  if (!peer.held.empty() || !consume(from, incoming)) {
    held_ += incoming.cost;
    peer.held.push_back(std::move(incoming));
  }
  note_peak();
  serve_waiting();
  return true;
}

// Moves what a message brings to the buckets; false where it must wait for its turn.
bool StreamPath::consume(int from, Incoming& incoming) {
  Peer& peer = peers_[size_t(from)];
  const Trailer& trailer = incoming.trailer;
  Buffer& bytes = incoming.bytes;
  bool grant_all = false;
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
    case Kind::kRoundEnd:
      THRONG_CHECK(!peer.ended && peer.filled == 0, "rank {} ended a round of exchange {} within a block", from, exchange_);
      peer.ended = grant_all = true;
      --open_streams_;
      incoming.cost = 0;
      break;
    case Kind::kCredit: throw bug("a credit of exchange {} waited behind rows", exchange_);
  }
  peer.to_grant += incoming.cost;
  if (peer.to_grant >= window_ / 2 || (grant_all && peer.to_grant > 0)) grant(from);
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

void StreamPath::grant(int to) {
  Peer& peer = peers_[size_t(to)];
  post(to, Buffer(), {.length = std::exchange(peer.to_grant, 0), .kind = Kind::kCredit});
}

void StreamPath::note_peak() { peak_ = std::max(peak_, queued_ + owed_ + held_ + assembling_); }

bool StreamPath::drain(bool done) {
  for (int d = 1; d < comm_.size(); ++d) {
    const int to = (comm_.rank() + d) % comm_.size();
    Peer& peer = peers_[size_t(to)];
    if (!peer.batch.empty()) peer.queue.push_back({Kind::kBatch, 0, std::exchange(peer.batch, Buffer())});
    peer.queue.push_back({Kind::kRoundEnd, 0, {}});
    push(to);
  }
  // Credits come back for all that was sent: no message of this round is left in the network.
  while (open_streams_ > 0 || queued_ > 0 || owed_ > 0 || !waiting_.empty())
    if (!progress()) comm_.transport().idle();
  comm_.transport().bytes_in_flight();
  for (auto& peer : peers_) peer.ended = false;
  open_streams_ = comm_.size() - 1;
  // Blocks of the next round wait until every rank has those of this one.
  return comm_.allreduce(done ? 1 : 0, comm::Op::kMin) == 1;
}

}  // namespace throng::engine
