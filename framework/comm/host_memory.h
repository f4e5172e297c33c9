// Memory of one rank that the other ranks of its host read where it lies.
#pragma once
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "framework/comm/communicator.h"

namespace throng::comm {

/// An array of each rank, zeros at first. A rank that is on the same host, runs as the same user and sees the same processes has the others' arrays mapped, to be read; which that are is found
/// out by trying, and all know of all. When an array may be read, and when it may be changed again, is for the users to agree on by messages.
class HostMemory {
 public:
  /// Collective. `bytes` of this rank's own array; each may have another number. A system error where there is not so much memory.
  HostMemory(Communicator& comm, size_t bytes);

  std::span<std::byte> own() { return own_.array(); }
  /// Null where it cannot be read from here, and for this rank itself.
  std::span<const std::byte> of(int rank) const { return others_[size_t(rank)].array(); }
  /// Whether rank `rank` reads this one's array.
  bool read_by(int rank) const { return read_by_[size_t(rank)]; }
  /// Whether any rank reads another's; the same on all.
  bool anyone_reads() const { return anyone_reads_; }

 private:
  /// A header, by which it is known to be the right one, and the array.
  class Mapping {
   public:
    Mapping() = default;
    Mapping(void* at, size_t bytes) : at_(static_cast<std::byte*>(at)), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();
    std::span<std::byte> array() const;
    std::byte* header() const { return at_; }

   private:
    std::byte* at_ = nullptr;
    size_t bytes_ = 0;
  };
  struct Offer;
  static Mapping map_of(const Offer& offer);

  Mapping own_;
  std::vector<Mapping> others_;
  std::vector<bool> read_by_;
  bool anyone_reads_ = false;
};

}  // namespace throng::comm
