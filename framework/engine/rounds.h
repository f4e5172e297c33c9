// When ranks that work at their own pace are to meet before they are through: to keep what they have, or to stop.
#pragma once
#include <cstdint>

#include "framework/base/clock.h"
#include "framework/comm/communicator.h"

namespace throng::engine {

/// One rank's view of the rounds of a run. A round ends when every rank is through with its work, or when one asks for its end: because
/// the process was told to stop, or because the last round ended `every_seconds` ago. One thread.
class Rounds {
 public:
  /// `every_seconds` 0: only to stop.
  Rounds(comm::Communicator& comm, double every_seconds) : comm_(comm), every_seconds_(every_seconds) {}

  /// Local. True when this rank is to end its round; asked often. The others are told.
  bool due();
  struct Meeting {
    bool through = false;  ///< every rank is
    bool stop = false;     ///< some process was told to
  };
  /// Collective. Ends the round of a rank that is `through`, or was told that it is due.
  Meeting meet(bool through);

 private:
  bool asked_by_others();

  comm::Communicator& comm_;
  double every_seconds_;
  Stopwatch since_meeting_;
  uint64_t round_ = 0;
  bool due_ = false;
};

}  // namespace throng::engine
