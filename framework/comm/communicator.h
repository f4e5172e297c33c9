// Collectives for the ranks of one run, the same over MPI and over threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/board.h"
#include "framework/comm/transport.h"

namespace throng::comm {

enum class Op { kSum, kMin, kMax };

/// How a thread waits for a message: ready to go on at once; asleep at times, beside threads that compute; or no more, which ends its wait with WaitEnded.
enum class Waits { kAtOnce, kGently, kNoMore };
struct WaitEnded : std::exception {
  const char* what() const noexcept override { return "a wait for a message was ended"; }
};

/// One rank's view of the group. Every collective must be called by all ranks in the same order, by one thread of each
/// rank; any of them throws PeerFailure when another rank has failed.
class Communicator {
 public:
  /// A lane's shares the board of the rank.
  explicit Communicator(std::unique_ptr<Transport> transport, std::shared_ptr<Board> board = std::make_shared<Board>()) : transport_(std::move(transport)), board_(std::move(board)), line_(board_->add()) {}

  int rank() const { return transport_->rank(); }
  int size() const { return transport_->size(); }
  Transport& transport() { return *transport_; }
  /// What this rank is doing, and what the thread that uses this communicator is.
  const std::shared_ptr<Board>& board() const { return board_; }
  BoardLine& line() { return *line_; }
  /// Thread-safe, also while another thread waits.
  void set_waits(Waits waits) { waits_ = waits; }

  /// Collective. Returns when all ranks have called it.
  void barrier();
  /// Collective. Replaces `text` on every rank by the root's.
  void broadcast(std::string& text, int root = 0);
  void broadcast(std::span<float> values, int root = 0);
  /// Collective. All ranks' texts in rank order, on every rank.
  std::vector<std::string> allgather(const std::string& text);
  /// Collective. All ranks' texts in rank order on the root, nothing elsewhere.
  std::vector<std::string> gather(const std::string& text, int root = 0);
  /// Collective. Element-wise, in place; `values` has one length on all ranks. Integers only: exact in any order.
  void allreduce(std::span<int64_t> values, Op op = Op::kSum);
  int64_t allreduce(int64_t value, Op op = Op::kSum);
  /// Collective. Minimum or maximum of doubles (sums of floats go through `sum_shards`).
  double allreduce_extreme(double value, Op op);
  /// Collective. messages[r] goes to rank r; returns what each rank sent here, in rank order. Any sizes.
  std::vector<Buffer> alltoall(std::vector<Buffer> messages);

  /// Collective. Sums `num_shards` (a power of two) vectors in one fixed binary tree, whatever the number of ranks:
  /// node (lo, n) = node(lo, n/2) + node(lo + n/2, n/2). This rank holds the shards [first_shard(rank),
  /// first_shard(rank + 1)) in `mine`, which are overwritten; the sum is copied to `out` on every rank.
  void sum_shards(std::vector<std::span<float>> mine, int num_shards, std::span<float> out);
  void sum_shards(std::vector<std::span<double>> mine, int num_shards, std::span<double> out);
  /// First logical shard of a rank: a contiguous, even cut; ranks beyond `num_shards` hold none.
  int first_shard(int rank, int num_shards) const { return int(int64_t{num_shards} * rank / size()); }
  int owner_of_shard(int shard, int num_shards) const;

  /// Sends any number of bytes in messages of bounded size; never blocks. `take` waits for them.
  void put(int to, std::span<const std::byte> bytes);
  Buffer take(int from);
  /// One message of at most kMaxMessageBytes, of bytes that stay as they are until `settle` has returned; `take_one` waits for it.
  void put_view(int to, std::span<const std::byte> bytes) {
    line_->totals().sent_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    transport_->post_view(to, Channel::kCollective, bytes);
  }
  Buffer take_one(int from) { return wait_message(from); }
  /// Returns when no view that this rank has put is still needed.
  void settle();

 private:
  Buffer wait_message(int from);
  template <class T>
  void sum_shards_of(std::vector<std::span<T>>& mine, int num_shards, std::span<T> out);
  template <class T>
  void allreduce_of(std::span<T> values, Op op);
  void broadcast_bytes(Buffer& bytes, int root);

  std::unique_ptr<Transport> transport_;
  std::shared_ptr<Board> board_;
  std::shared_ptr<BoardLine> line_;
  std::atomic<Waits> waits_ = Waits::kAtOnce;
};

}  // namespace throng::comm
