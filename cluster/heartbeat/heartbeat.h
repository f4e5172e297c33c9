// Signs of life between rank 0 and every other rank, over TCP apart from MPI: TCP alone would wait a quarter of an hour on a
// cut link. They say that a process and the network to it are there, not that its rank makes progress; what that does, a rank
// says in a report beside them.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "framework/base/error.h"

namespace throng::heartbeat {

struct Options {
  int rank = 0;
  int num_ranks = 1;
  double timeout_seconds = 60;  ///< rank 0's counts; 0: silence is never too long
  /// Called once, from the heartbeat's thread, with a system error that names the hosts and ranks that fell silent.
  std::function<void(const Error&)> on_silence;
  /// The others: what goes to rank 0 about once a second, JSON of an object in one line. Called from the heartbeat's thread.
  std::function<std::string()> report = {};
  /// Rank 0: what another rank reported. Called from the heartbeat's thread.
  std::function<void(int rank, const std::string& report)> on_report = {};
  /// Called from the heartbeat's thread when this rank goes on unwatched, with the reason.
  std::function<void(const std::string&)> warn;
};

/// One rank's end: a thread of its own, which never calls MPI, beats every min(1 s, timeout / 10) and listens. A peer is
/// silent when nothing came from it for as many beats of this process as fit the timeout; so a process that was itself
/// stopped for a while blames nobody. A peer whose connection closed without a goodbye counts as silent from then on:
/// where its process died, the launcher ends the job first. All methods may be called from any thread.
class Heartbeat {
 public:
  /// Rank 0: listens on every interface. A system error where it cannot.
  explicit Heartbeat(Options options);
  /// The others: look for rank 0 at the invitation's addresses in turn, in the background; warn once and go on unwatched
  /// where none answers.
  Heartbeat(Options options, const std::string& invitation);
  /// Says goodbye, so that the other side does not wait for this one.
  ~Heartbeat();

  /// Rank 0: what the other ranks need to connect.
  std::string invitation() const;
  /// Ranks that this one watches: those that connected; on the others 1 or 0.
  int num_watched() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace throng::heartbeat
