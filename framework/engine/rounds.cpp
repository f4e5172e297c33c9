#include "framework/engine/rounds.h"

#include <cstring>

#include "framework/base/stop_signal.h"

namespace throng::engine {

// A message that comes late belongs to a round that is over: those who asked have met.
bool Rounds::asked_by_others() {
  bool asked = false;
  while (auto incoming = comm_.transport().poll(-1, comm::Channel::kRounds)) {
    uint64_t round = 0;
    THRONG_CHECK(incoming->message.size() == sizeof round, "a message of {} bytes between rounds", incoming->message.size());
    std::memcpy(&round, incoming->message.data(), sizeof round);
    asked |= round == round_;
  }
  return asked;
}

bool Rounds::due() {
  if (due_) return true;
  due_ = asked_by_others();
  if (due_ || !(stop_wished() || (every_seconds_ > 0 && since_meeting_.seconds() >= every_seconds_))) return due_;
  for (int r = 0; r < comm_.size(); ++r) {
    if (r == comm_.rank()) continue;
    Buffer message(sizeof round_);
    std::memcpy(message.data(), &round_, sizeof round_);
    comm_.transport().post(r, comm::Channel::kRounds, std::move(message));
  }
  return due_ = true;
}

Rounds::Meeting Rounds::meet(bool through) {
  int64_t behind_and_stop[2] = {!through, stop_wished()};
  comm_.allreduce(std::span<int64_t>(behind_and_stop), comm::Op::kMax);
  ++round_;
  due_ = false;
  since_meeting_ = Stopwatch();
  return {behind_and_stop[0] == 0, behind_and_stop[1] != 0};
}

}  // namespace throng::engine
