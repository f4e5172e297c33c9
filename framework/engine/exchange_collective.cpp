#include "framework/engine/exchange_collective.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace throng::engine {

CollectivePath::CollectivePath(comm::Communicator& comm, Buckets& buckets)
    : comm_(comm),
      buckets_(buckets),
      memory_(comm, buckets.resources().memory),
      pair_bytes_(memory_.share_bytes() / uint64_t(std::max(1, comm.size() - 1))),
      queues_(size_t(comm.size())) {}

void CollectivePath::send(int to, int64_t partition, Buffer block) {
  queued_ += block.size() + sizeof(Entry);
  peak_ = std::max(peak_, queued_);
  if (block.size() + sizeof(Entry) > pair_bytes_) long_blocks_.push_back({to, partition, std::move(block)});
  else queues_[size_t(to)].push_back({partition, std::move(block)});
  while (queued_ > memory_.share_bytes()) round(false, false);
}

void CollectivePath::append(Buffer& message, Entry entry, const std::byte* bytes) {
  append_bytes(message, &entry, sizeof entry);
  append_bytes(message, bytes, entry.size);
}

CollectivePath::Verdict CollectivePath::round(bool draining, bool done) {
  // The least over ranks: whether all have drained, and are done, and who sends a long block: one that has begun to,
  // or the lowest rank that has one.
  const int64_t turn = long_blocks_.empty() ? comm_.size() + 1 : long_blocks_.front().sent > 0 ? 0 : 1 + comm_.rank();
  std::array<int64_t, 3> least{draining && queued_ == 0, done, turn};
  comm_.allreduce(least, comm::Op::kMin);
  if (least[0]) return {true, least[1] != 0};

  std::vector<Buffer> messages(static_cast<size_t>(comm_.size()));
  uint64_t sending = 0, received = 0;
  for (size_t to = 0; to < messages.size(); ++to) {
    auto& queue = queues_[to];
    uint64_t size = 0, count = 0;
    while (count < queue.size() && size + sizeof(Entry) + queue[count].bytes.size() <= pair_bytes_) size += sizeof(Entry) + queue[count++].bytes.size();
    messages[to].reserve(size);
    for (; count > 0; --count) {
      const Block& block = queue.front();
      append(messages[to], {block.partition, block.bytes.size(), 0, block.bytes.size()}, block.bytes.data());
      queue.pop_front();
    }
    queued_ -= size;
  }
  if (!long_blocks_.empty() && least[2] == turn) {
    LongBlock& block = long_blocks_.front();
    const uint64_t size = std::min<uint64_t>(memory_.share_bytes(), block.bytes.size() - block.sent);
    append(messages[size_t(block.to)], {block.partition, block.bytes.size(), block.sent, size}, block.bytes.data() + block.sent);
    block.sent += size;
    queued_ -= size;
    if (block.sent == block.bytes.size()) {
      queued_ -= sizeof(Entry);
      long_blocks_.pop_front();
    }
  }
  for (const auto& message : messages) sending += message.size();
  const auto all = comm_.alltoall(std::move(messages));
  for (const auto& message : all) received += message.size();
  peak_ = std::max(peak_, queued_ + sending + received + filled_);
  for (const auto& message : all) take(message);
  return {};
}

void CollectivePath::take(const Buffer& message) {
  for (size_t at = 0; at < message.size();) {
    Entry entry;
    THRONG_CHECK(message.size() - at >= sizeof entry, "a message of an exchange ends within an entry");
    std::memcpy(&entry, message.data() + at, sizeof entry);
    at += sizeof entry;
    THRONG_CHECK(entry.size <= message.size() - at && entry.at + entry.size <= entry.length, "{} bytes at {} of a block of {}, in {} left of a message", entry.size,
                 entry.at, entry.length, message.size() - at);
    const bool whole = entry.size == entry.length;
    Buffer block;
    Buffer& into = whole ? block : coming_;
    THRONG_CHECK(whole || entry.at == filled_, "part of a block at {} where {} is next", entry.at, filled_);
    if (entry.at == 0) into.resize(entry.length);
    if (entry.size) std::memcpy(into.data() + entry.at, message.data() + at, entry.size);
    at += entry.size;
    if (!whole) filled_ += entry.size;
    if (!whole && filled_ < entry.length) continue;
    if (!whole) block = std::exchange(coming_, Buffer()), filled_ = 0;
    buckets_.add(entry.partition, std::move(block));
  }
}

bool CollectivePath::drain(bool done) {
  for (;;)
    if (const Verdict verdict = round(true, done); verdict.all_drained) return verdict.all_done;
}

}  // namespace throng::engine
