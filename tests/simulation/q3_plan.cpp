// The plan of Q3 (which action of a user follows which) on simulated ranks: the engine's own exchange, rows as bytes of their measured size,
// work as simulated time at measured rates. Prints one JSON object. usage: smpirun ... q3_plan ROWS_PER_RANK MEMORY_MIB stream|collective
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "framework/base/hash.h"
#include "framework/engine/exchange.h"
#include "tests/simulation/smpi_transport.h"

namespace {

using namespace throng;
using engine::ExchangeKind;

// Measured on 2 ranks with 20 million rows; see README.md.
constexpr double kSendSecondsPerRow = 90e-9;   // read, cut by user, serialise
constexpr double kGroupSecondsPerRow = 154e-9;  // read what came, sort, transitions, sums of a partition
constexpr size_t kBytesPerRow = 24;            // user, time, action, place
constexpr size_t kPieceBytes = size_t{4} << 20, kGroups = 36, kBytesPerGroup = 48;

struct Result {
  double seconds = 0, exchange_seconds = 0;
  int64_t messages = 0, peak_bytes = 0;
};

int64_t num_partitions(int64_t rows, int ranks) { return std::clamp<int64_t>(rows * ranks * int64_t(kBytesPerRow) / int64_t(kPieceBytes), 16, 16384); }

Result run(comm::Communicator& comm, int64_t rows, uint64_t memory_bytes, ExchangeKind kind) {
  Result result;
  auto& transport = static_cast<simulation::SmpiTransport&>(comm.transport());
  const int64_t partitions = num_partitions(rows, comm.size());
  const int64_t first = data::first_partition(comm.rank(), comm.size(), partitions), end = data::first_partition(comm.rank() + 1, comm.size(), partitions);
  MemoryBudget budget(memory_bytes);
  SpillQuota quota;
  int64_t received = 0;
  // Rows are not kept: all simulated ranks share one machine's memory.
  auto take = [&](engine::Buckets& buckets) {
    for (int64_t p = first; p < end; ++p)
      for (auto& block : buckets.take(p)) received += int64_t(block.size());
  };
  comm.barrier();
  const double start = MPI_Wtime();
  double computed = 0;
  auto work = [&](double seconds) {
    simulation::compute(seconds);
    computed += seconds;
  };
  {
    engine::Buckets buckets({budget, quota, "/tmp"});
    engine::Exchange exchange(comm, partitions, 0, buckets, kind);
    for (int64_t at = 0; at < rows;) {
      const int64_t n = std::min<int64_t>(rows - at, int64_t(kPieceBytes / kBytesPerRow));
      work(double(n) * kSendSecondsPerRow);
      for (int64_t p = 0; p < partitions; ++p) {
        const int64_t share = n * (p + 1) / partitions - n * p / partitions;
        if (share > 0) exchange.send(p, Buffer(size_t(share) * kBytesPerRow));
      }
      at += n;
      take(buckets);
    }
    exchange.finish();
    take(buckets);
    result.peak_bytes = int64_t(exchange.peak_bytes());
  }
  const int64_t all = comm.allreduce(received);
  THRONG_CHECK(all == rows * comm.size() * int64_t(kBytesPerRow), "{} bytes arrived", all);
  work(double(received) / double(kBytesPerRow) * kGroupSecondsPerRow);
  {
    engine::Buckets buckets({budget, quota, "/tmp"});
    engine::Exchange exchange(comm, partitions, 1, buckets, kind);
    for (int64_t p = first; p < end; ++p)
      for (size_t g = 0; g < kGroups; ++g) exchange.send(int64_t(mix64(g) % uint64_t(partitions)), Buffer(kBytesPerGroup));
    exchange.finish();
    take(buckets);
  }
  comm.gather(std::string(500, ' '));  // each rank's record of the step
  comm.barrier();
  result.seconds = MPI_Wtime() - start;
  result.exchange_seconds = result.seconds - computed;
  result.messages = int64_t(transport.num_messages());
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  const uint64_t memory = uint64_t(argc > 2 ? std::atoll(argv[2]) : 1024) << 20;
  const auto kind = argc > 3 && !std::strcmp(argv[3], "collective") ? ExchangeKind::kCollective : ExchangeKind::kStream;
  {
    comm::Communicator comm(std::make_unique<simulation::SmpiTransport>());
    try {
      Result r = run(comm, rows, memory, kind);
      const int64_t messages = comm.allreduce(r.messages, comm::Op::kMax), peak = comm.allreduce(r.peak_bytes, comm::Op::kMax);
      const double seconds = comm.allreduce_extreme(r.seconds, comm::Op::kMax), exchange = comm.allreduce_extreme(r.exchange_seconds, comm::Op::kMin);  // of the rank with most work
      if (comm.rank() == 0)
        std::printf("{\"ranks\": %d, \"rows_per_rank\": %ld, \"path\": \"%s\", \"seconds\": %.6f, \"even_work_seconds\": %.6f, \"exchange_seconds\": %.6f, \"messages_per_rank\": %ld, \"peak_bytes\": %ld}\n", comm.size(), long(rows),
                    kind == ExchangeKind::kStream ? "stream" : "collective", seconds, double(rows) * (kSendSecondsPerRow + kGroupSecondsPerRow), exchange, long(messages), long(peak));
    } catch (const Error& e) {
      comm.transport().announce_failure(e);
    }
  }
  MPI_Finalize();
  return 0;
}
