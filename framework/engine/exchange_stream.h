// The streaming path: messages from rank to rank, within credits that receivers grant out of their reservation.
#pragma once
#include <deque>
#include <vector>

#include "framework/data/trailer_room.h"
#include "framework/engine/buckets.h"
#include "framework/engine/exchange_path.h"

namespace throng::engine {

/// A state machine that one thread drives by calling it; it never blocks but in `Transport::idle`, and whatever it waits for, it goes on
/// receiving. Each message carries its number in the stream from one rank to another. A sender may have as many bytes on the way to a
/// receiver as that granted it; the receiver grants them anew when they are in its buckets. Blocks longer than a message travel in
/// parts; those that together pass the receiver's share are put together one after another, the others wait within their credit.
///
/// A round ends by numbers: the ranks' counts of messages to each rank are added up a binary tree and the sums sent down it, so that each knows how
/// many it must receive: 2 (ranks - 1) messages, also where few ranks had anything for each other. A sender knows from what it sent
/// which credits a receiver will send it; what lies between two credits is owed to nobody when the round is over.
class StreamPath : public ExchangePath {
 public:
  /// Collective.
  StreamPath(comm::Communicator& comm, uint64_t sequence, Buckets& buckets);
  void send(int to, int64_t partition, Buffer block) override;
  bool drain(bool done) override;
  uint64_t peak_bytes() const override { return peak_; }

 private:
  enum class Kind : uint32_t { kBatch, kBlock, kPart, kCredit, kCounts, kSums };
  struct Trailer {  // ends a message, so that a whole block needs no copy on either side
    uint64_t number = 0, exchange = 0;
    int64_t partition = 0;
    uint64_t length = 0;  // of the block; of a credit
    Kind kind{};
    uint32_t unused = 0;
  };
  static_assert(sizeof(Trailer) <= data::kTrailerRoom);
  struct Outgoing {
    Kind kind{};
    int64_t partition = 0;
    Buffer bytes;
    size_t sent = 0;
  };
  struct Incoming {
    Trailer trailer;
    Buffer bytes;
    uint64_t cost = 0;  // in credit
  };
  struct Peer {
    Buffer batch;                // small blocks for it, not yet a message
    std::deque<Outgoing> queue;  // waits for credit
    uint64_t credit = 0, owed = 0, next_to = 0;  // owed: sent, not yet granted anew
    uint64_t uncredited = 0;     // of what was sent, after the last message that brings a credit
    std::deque<Incoming> held;   // from it; the first is part of a block whose turn has not come
    Buffer block;                // whose parts are coming
    size_t filled = 0;
    uint64_t to_grant = 0, next_from = 0;
  };
  void begin_round();
  bool append(Peer& peer, int64_t partition, const Buffer& block);
  void enqueue(int to, Outgoing outgoing);
  void push(int to);
  void post(int to, Buffer message, Trailer trailer);
  bool asks_for_credit(uint64_t& since, uint64_t cost) const;
  bool progress();
  bool control(int from, const Incoming& incoming);
  void send_counts();
  void take_sums(const std::vector<uint64_t>& sums);
  bool consume(int from, Incoming& incoming);
  void serve_waiting();
  void note_peak();
  /// Tells the board that this rank waits here, and for whom; `spins` counts the calls of one wait.
  void tell_wait(Activity& wait, uint64_t& spins);
  int blocking_peer() const;

  comm::Communicator& comm_;
  const uint64_t exchange_;
  Buckets& buckets_;
  ExchangeMemory memory_;
  uint64_t window_;        // credit of a sender
  size_t message_bytes_, batch_bytes_;  // at most, of any message, and of one that small blocks fill
  std::vector<Peer> peers_;
  std::deque<int> waiting_;  // ranks in whose turn a long block comes
  std::vector<uint64_t> counts_;   // of the round: messages to each rank, from here and from the ranks below in the tree
  std::vector<int> awaited_counts_;  // from these ranks below
  bool counts_sent_ = false, sums_known_ = false;
  uint64_t expected_ = 0, received_ = 0, credits_to_come_ = 0;  // of the round
  uint64_t queued_ = 0, owed_ = 0, held_ = 0, assembling_ = 0, since_reaped_ = 0, unsent_ = 0, peak_ = 0;
};

}  // namespace throng::engine
