#include "framework/engine/exchange_path.h"

#include <algorithm>

namespace throng::engine {
namespace {

constexpr uint64_t kMostShareBytes = uint64_t{16} << 20;
constexpr uint64_t kLeastPeerBytes = uint64_t{16} << 10;  // of a share, for each other rank
constexpr uint64_t kMostPeerBytes = uint64_t{256} << 10;  // where there are many; fewer bytes a message cost more messages

}  // namespace

ExchangeMemory::ExchangeMemory(comm::Communicator& comm, MemoryBudget& budget) : budget_(budget) {
  const uint64_t limit = budget.limit_bytes(), least = std::max(limit / 256, kLeastPeerBytes * uint64_t(comm.size()));
  share_ = std::max(std::min(limit / 32, std::max(kMostShareBytes, kMostPeerBytes * uint64_t(comm.size()))), least);
  bool fits = false;
  while (!(fits = budget.try_reserve(kShares * share_, limit / 2)) && share_ > least) share_ = std::max(share_ / 2, least);
  if (fits) reserved_ = kShares * share_;
  share_ = uint64_t(comm.allreduce(int64_t(share_), comm::Op::kMin));
  if (fits && reserved_ > kShares * share_) {
    budget.release(reserved_ - kShares * share_);
    reserved_ = kShares * share_;
  }
}

}  // namespace throng::engine
