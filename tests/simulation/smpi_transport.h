// Ranks simulated by SimGrid's SMPI: the calls that it has (no threads, no matched probe), and time that passes where they compute.
#pragma once
#include <mpi.h>

#include <list>
#include <map>

#include "framework/comm/transport.h"

namespace throng::simulation {

/// Lets simulated time pass.
void compute(double seconds);

class SmpiTransport : public comm::Transport {
 public:
  SmpiTransport();
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void post(int to, comm::Channel channel, Buffer message) override;
  size_t bytes_in_flight() override;
  std::optional<comm::Incoming> poll(int from, comm::Channel channel) override;
  void idle() override;
  void check() override {}  // a failure ends the simulation
  void announce_failure(const Error& error) override;

  uint64_t num_messages() const { return num_messages_; }

 private:
  struct Pending {
    int peer;
    Buffer message;
    MPI_Request request;
  };
  int rank_ = 0, size_ = 1;
  std::list<Pending> sends_;
  std::map<int, std::list<Pending>> receives_;  // by channel, in the order they came
  size_t in_flight_ = 0;
  uint64_t num_messages_ = 0;
  double pause_ = 0;
};

}  // namespace throng::simulation
