#include "framework/comm/host_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>

namespace throng::comm {
namespace {

constexpr size_t kHeader = 64;

/// A file that is closed at the end.
struct File {
  int number = -1;
  ~File() {
    if (number >= 0) ::close(number);
  }
};

std::array<char, 128> host_identity() {
  std::array<char, 128> identity{};
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  char name_space[64] = {};
  if (boot.empty() || ::readlink("/proc/self/ns/pid", name_space, sizeof name_space - 1) < 0) return identity;
  const std::string all = boot + name_space;
  std::memcpy(identity.data(), all.data(), std::min(all.size(), identity.size()));
  return identity;
}

}  // namespace

/// How another rank finds the array.
struct HostMemory::Offer {
  std::array<char, 128> host{};  // this start of the system, and which processes it sees; empty: not known
  int64_t process = 0, file = -1;
  uint64_t bytes = 0;
  std::array<uint64_t, 2> token{};
};

HostMemory::Mapping& HostMemory::Mapping::operator=(Mapping&& other) noexcept {
  std::swap(at_, other.at_), std::swap(bytes_, other.bytes_);
  return *this;
}

HostMemory::Mapping::~Mapping() {
  if (at_) ::munmap(at_, bytes_);
}

std::span<std::byte> HostMemory::Mapping::array() const {
  if (!at_) return {};
  return {at_ + kHeader, bytes_ - kHeader};
}

/// Nothing where it cannot be mapped.
HostMemory::Mapping HostMemory::map_of(const Offer& offer) {
  const File file{::open(fmt::format("/proc/{}/fd/{}", offer.process, offer.file).c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about;
  if (file.number < 0 || ::fstat(file.number, &about) != 0 || uint64_t(about.st_size) != kHeader + offer.bytes) return {};
  void* at = ::mmap(nullptr, kHeader + offer.bytes, PROT_READ, MAP_SHARED, file.number, 0);
  if (at == MAP_FAILED) return {};
  Mapping mapping(at, kHeader + offer.bytes);
  if (std::memcmp(mapping.header(), offer.token.data(), sizeof offer.token) != 0) return {};
  return mapping;
}

HostMemory::HostMemory(Communicator& comm, size_t bytes) : others_(size_t(comm.size())), read_by_(size_t(comm.size()), false) {
  const size_t whole = kHeader + bytes;
  // A file in memory, which has no name and goes with the processes that have it open; its room is taken at once, since there is no error later.
  File file{comm.size() > 1 ? ::memfd_create("throng", MFD_CLOEXEC) : -1};
  void* at = MAP_FAILED;
  if (file.number >= 0 && ::posix_fallocate(file.number, 0, off_t(whole)) == 0) at = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0);
  const bool offered = at != MAP_FAILED;
  if (!offered) at = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw system_error("no {} bytes of memory: {}", whole, std::strerror(errno));
  own_ = Mapping(at, whole);
  if (comm.size() == 1) return;

  Offer offer;
  std::random_device random;
  for (auto& half : offer.token) half = uint64_t{random()} << 32 | random();
  std::memcpy(at, offer.token.data(), sizeof offer.token);
  offer.bytes = bytes, offer.file = offered ? file.number : -1, offer.process = ::getpid(), offer.host = host_identity();
  const auto offers = comm.allgather(std::string(reinterpret_cast<const char*>(&offer), sizeof offer));
  std::string readable(offers.size(), '0');
  for (int r = 0; r < comm.size(); ++r) {
    Offer other;
    THRONG_CHECK(offers[size_t(r)].size() == sizeof other, "an offer of {} bytes", offers[size_t(r)].size());
    std::memcpy(&other, offers[size_t(r)].data(), sizeof other);
    if (r == comm.rank() || other.file < 0 || other.host[0] == 0 || other.host != offer.host) continue;
    others_[size_t(r)] = map_of(other);
    if (others_[size_t(r)].header()) readable[size_t(r)] = '1';
  }
  // After this all have it open, or never will.
  const auto seen = comm.allgather(readable);
  for (size_t r = 0; r < seen.size(); ++r) {
    read_by_[r] = seen[r].at(size_t(comm.rank())) == '1';
    anyone_reads_ = anyone_reads_ || seen[r].find('1') != std::string::npos;
  }
}

}  // namespace throng::comm
