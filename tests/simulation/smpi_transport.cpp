#include "tests/simulation/smpi_transport.h"

#include <smpi/smpi.h>

#include <algorithm>
#include <cstdio>

namespace throng::simulation {
namespace {

constexpr double kFirstPause = 1e-6, kLongestPause = 64e-6;  // of a rank that waits

}  // namespace

void compute(double seconds) { smpi_execute_flops(seconds * 1e9); }  // hosts of the platform do 1 Gflop/s

SmpiTransport::SmpiTransport() {
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

void SmpiTransport::post(int to, comm::Channel channel, Buffer message) {
  THRONG_CHECK(message.size() <= comm::kMaxMessageBytes, "a message of {} bytes", message.size());
  Pending& send = sends_.emplace_back(Pending{to, std::move(message), MPI_REQUEST_NULL});
  MPI_Isend(send.message.data(), int(send.message.size()), MPI_BYTE, to, int(channel), MPI_COMM_WORLD, &send.request);
  in_flight_ += send.message.size() + 1;
  ++num_messages_;
}

size_t SmpiTransport::bytes_in_flight() {
  while (!sends_.empty()) {  // the oldest first: each test costs simulated time
    int done = 0;
    MPI_Test(&sends_.front().request, &done, MPI_STATUS_IGNORE);
    if (!done) break;
    in_flight_ -= sends_.front().message.size() + 1;
    sends_.pop_front();
  }
  return in_flight_;
}

std::optional<comm::Incoming> SmpiTransport::poll(int from, comm::Channel channel) {
  auto& receives = receives_[int(channel)];
  int found = 0;
  MPI_Status status;
  MPI_Iprobe(from < 0 ? MPI_ANY_SOURCE : from, int(channel), MPI_COMM_WORLD, &found, &status);
  if (found) {
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    Pending& receive = receives.emplace_back(Pending{status.MPI_SOURCE, Buffer(size_t(count)), MPI_REQUEST_NULL});
    MPI_Irecv(receive.message.data(), count, MPI_BYTE, status.MPI_SOURCE, int(channel), MPI_COMM_WORLD, &receive.request);
  }
  std::vector<int> waiting;  // sources with an earlier message that is not complete
  for (auto it = receives.begin(); it != receives.end(); ++it) {
    if ((from >= 0 && it->peer != from) || std::find(waiting.begin(), waiting.end(), it->peer) != waiting.end()) continue;
    int done = 0;
    MPI_Test(&it->request, &done, MPI_STATUS_IGNORE);
    if (!done) {
      waiting.push_back(it->peer);
      continue;
    }
    comm::Incoming incoming{it->peer, std::move(it->message)};
    receives.erase(it);
    pause_ = 0;
    return incoming;
  }
  return {};
}

void SmpiTransport::idle() {
  bytes_in_flight();
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  smpi_usleep(useconds_t(pause_ * 1e6));
}

void SmpiTransport::announce_failure(const Error& error) {
  std::fprintf(stderr, "rank %d: %s\n", rank_, error.text().c_str());
  MPI_Abort(MPI_COMM_WORLD, error.exit_code());
}

}  // namespace throng::simulation
