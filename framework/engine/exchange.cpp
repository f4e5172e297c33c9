#include "framework/engine/exchange.h"

#include <cstring>

namespace throng::engine {
namespace {

constexpr size_t kMessageBytes = size_t{1} << 20;     // a stream is cut in messages of about this size
constexpr size_t kLeastMessageBytes = size_t{16} << 10;
constexpr size_t kInFlightBytes = size_t{32} << 20;   // posted and not yet received, per sender
constexpr size_t kHeaderBytes = 16;                   // partition, length
constexpr std::byte kData{0}, kRoundEnd{1}, kLastRoundEnd{2};  // first byte of a message

}  // namespace

Exchange::Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets)
    : comm_(comm),
      num_partitions_(num_partitions),
      channel_(sequence % 2 ? comm::Channel::kExchangeOdd : comm::Channel::kExchangeEven),
      buckets_(buckets),
      message_bytes_(std::clamp(size_t(buckets.resources().memory.limit_bytes() / 16 / size_t(comm.size())), kLeastMessageBytes, kMessageBytes)),
      in_flight_bytes_(std::clamp(size_t(buckets.resources().memory.limit_bytes() / 8), 4 * kLeastMessageBytes, kInFlightBytes)),
      outgoing_(size_t(comm.size())),
      incoming_(size_t(comm.size())),
      open_streams_(comm.size() - 1) {}

int Exchange::owner(int64_t partition) const {
  int r = int(partition * comm_.size() / num_partitions_);
  while (data::first_partition(r, comm_.size(), num_partitions_) > partition) --r;
  while (r + 1 < comm_.size() && data::first_partition(r + 1, comm_.size(), num_partitions_) <= partition) ++r;
  return r;
}

void Exchange::send(int64_t partition, Buffer block) {
  int to = owner(partition);
  bytes_ += block.size();
  if (to == comm_.rank()) {
    buckets_.add(partition, std::move(block));
    return;
  }
  Buffer& stream = outgoing_[size_t(to)];
  uint64_t header[2] = {uint64_t(partition), block.size()};
  append_bytes(stream, header, kHeaderBytes);
  append_bytes(stream, block.data(), block.size());
  if (stream.size() >= message_bytes_) flush(to);
  while (receive()) {
  }
}

void Exchange::flush(int rank) {
  Buffer stream = std::move(outgoing_[size_t(rank)]);
  outgoing_[size_t(rank)].clear();
  for (size_t at = 0; at < stream.size(); at += message_bytes_) {
    size_t n = std::min(message_bytes_, stream.size() - at);
    while (comm_.transport().bytes_in_flight() > in_flight_bytes_)
      if (!receive()) comm_.transport().idle();
    Buffer message(n + 1);
    message[0] = kData;
    std::memcpy(message.data() + 1, stream.data() + at, n);
    comm_.transport().post(rank, channel_, std::move(message));
  }
}

bool Exchange::receive() {
  if (open_streams_ == 0) return false;
  auto incoming = comm_.transport().poll(-1, channel_);
  if (!incoming) return false;
  Stream& stream = incoming_[size_t(incoming->from)];
  const std::byte kind = incoming->message[0];
  if (kind != kData) {
    THRONG_CHECK(stream.pending.empty() && !stream.ended, "{} bytes left in an exchange stream", stream.pending.size());
    stream.ended = true;
    --open_streams_;
    drain_wished_ = drain_wished_ || kind == kRoundEnd;
    return true;
  }
  append_bytes(stream.pending, incoming->message.data() + 1, incoming->message.size() - 1);
  parse(stream);
  return true;
}

void Exchange::parse(Stream& stream) {
  size_t at = 0;
  Buffer& b = stream.pending;
  while (b.size() - at >= kHeaderBytes) {
    uint64_t header[2];
    std::memcpy(header, b.data() + at, kHeaderBytes);
    if (b.size() - at - kHeaderBytes < header[1]) break;
    Buffer block(header[1]);
    std::memcpy(block.data(), b.data() + at + kHeaderBytes, header[1]);
    buckets_.add(int64_t(header[0]), std::move(block));
    at += kHeaderBytes + header[1];
  }
  if (at) b.erase(b.begin(), b.begin() + ptrdiff_t(at));
}

bool Exchange::drain(bool done) {
  for (int d = 1; d < comm_.size(); ++d) {
    int to = (comm_.rank() + d) % comm_.size();
    flush(to);
    comm_.transport().post(to, channel_, Buffer(1, done ? kLastRoundEnd : kRoundEnd));
  }
  while (open_streams_ > 0)
    if (!receive()) comm_.transport().idle();
  for (auto& stream : incoming_) stream.ended = false;
  open_streams_ = comm_.size() - 1;
  drain_wished_ = false;
  // Blocks of the next round wait until every rank has those of this one.
  return comm_.allreduce(done ? 1 : 0, comm::Op::kMin) == 1;
}

void Exchange::finish() {
  while (!drain(true)) {
  }
}

}  // namespace throng::engine
