#include "framework/engine/exchange.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/base/files.h"

namespace throng::engine {
namespace {

constexpr size_t kMessageBytes = size_t{1} << 20;     // a stream is cut in messages of about this size
constexpr size_t kInFlightBytes = size_t{32} << 20;   // posted and not yet received, per sender
constexpr size_t kHeaderBytes = 16;                   // partition, length

}  // namespace

Buckets::Buckets(MemoryBudget& budget, std::filesystem::path spill_folder)
    : budget_(budget), spill_folder_(std::move(spill_folder)) {}

Buckets::~Buckets() {
  budget_.release(reserved_);
  if (file_) std::fclose(file_);
}

void Buckets::add(int64_t partition, Buffer block) {
  if (!budget_.try_reserve(block.size())) {
    spill();
    if (!budget_.try_reserve(block.size())) {
      in_memory_[partition].push_back(std::move(block));
      spill();
      return;
    }
  }
  reserved_ += block.size();
  in_memory_[partition].push_back(std::move(block));
}

void Buckets::spill() {
  if (!file_) {
    make_folder(spill_folder_);
    std::string name = (spill_folder_ / "spill-XXXXXX").string();
    int fd = ::mkstemp(name.data());
    if (fd < 0) throw system_error("{}: spill file cannot be made: {}", spill_folder_.string(), std::strerror(errno));
    ::unlink(name.c_str());  // gone with the process, however it ends
    file_ = ::fdopen(fd, "w+b");
  }
  std::fseek(file_, long(file_end_), SEEK_SET);
  for (auto& [partition, blocks] : in_memory_) {
    for (auto& block : blocks) {
      if (std::fwrite(block.data(), 1, block.size(), file_) != block.size())
        throw system_error("{}: spilling {} bytes failed: {}", spill_folder_.string(), block.size(), std::strerror(errno))
            .with_hint("free the disk, or set TMPDIR to a larger one");
      on_disk_[partition].push_back({file_end_, block.size()});
      file_end_ += block.size();
      spilled_bytes_ += block.size();
    }
  }
  in_memory_.clear();
  budget_.release(reserved_);
  reserved_ = 0;
}

std::vector<Buffer> Buckets::take(int64_t partition) {
  std::vector<Buffer> blocks;
  if (auto it = in_memory_.find(partition); it != in_memory_.end()) {
    blocks = std::move(it->second);
    for (const auto& b : blocks) budget_.release(b.size()), reserved_ -= b.size();
    in_memory_.erase(it);
  }
  if (auto it = on_disk_.find(partition); it != on_disk_.end()) {
    std::fflush(file_);
    for (auto [offset, size] : it->second) {
      Buffer block(size);
      ssize_t n = ::pread(::fileno(file_), block.data(), size, off_t(offset));
      if (n != ssize_t(size)) throw system_error("{}: spilled rows cannot be read back: {}", spill_folder_.string(), std::strerror(errno));
      blocks.push_back(std::move(block));
    }
    on_disk_.erase(it);
  }
  return blocks;
}

Exchange::Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets)
    : comm_(comm),
      num_partitions_(num_partitions),
      channel_(sequence % 2 ? comm::Channel::kExchangeOdd : comm::Channel::kExchangeEven),
      buckets_(buckets),
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
  if (stream.size() >= kMessageBytes) flush(to);
}

void Exchange::flush(int rank) {
  Buffer stream = std::move(outgoing_[size_t(rank)]);
  outgoing_[size_t(rank)].clear();
  for (size_t at = 0; at < stream.size(); at += kMessageBytes) {
    size_t n = std::min(kMessageBytes, stream.size() - at);
    while (comm_.transport().bytes_in_flight() > kInFlightBytes)
      if (!receive()) comm_.transport().idle();
    Buffer message(n);
    std::memcpy(message.data(), stream.data() + at, n);
    comm_.transport().post(rank, channel_, std::move(message));
  }
  while (receive()) {
  }
}

bool Exchange::receive() {
  if (open_streams_ == 0) return false;
  auto incoming = comm_.transport().poll(-1, channel_);
  if (!incoming) return false;
  Stream& stream = incoming_[size_t(incoming->from)];
  if (incoming->message.empty()) {  // an empty message ends a stream
    THRONG_CHECK(stream.pending.empty() && !stream.ended, "{} bytes left in an exchange stream", stream.pending.size());
    stream.ended = true;
    --open_streams_;
    return true;
  }
  append_bytes(stream.pending, incoming->message.data(), incoming->message.size());
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

void Exchange::finish() {
  for (int d = 1; d < comm_.size(); ++d) {
    int to = (comm_.rank() + d) % comm_.size();
    flush(to);
    comm_.transport().post(to, channel_, Buffer());
  }
  while (open_streams_ > 0)
    if (!receive()) comm_.transport().idle();
}

}  // namespace throng::engine
