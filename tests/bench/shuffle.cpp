// Bandwidth between ranks: the exchange by both paths, beside bare MPI moving the same bytes. Run under mpirun; rank 0 prints a list of
// {case, system, bytes, seconds} as JSON. usage: shuffle REPEATS [SCALE]
//   large: 256 MiB from each rank to the others, in blocks of 1 MiB that are kept      blocks: 4 MiB a round, dropped after each
//   made: as large, but each block is copied together from rows of 20 bytes first, and its rows are added up where it arrives
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "framework/base/clock.h"
#include "framework/base/heap.h"
#include "framework/comm/mpi_backend.h"
#include "framework/data/trailer_room.h"
#include "framework/engine/exchange.h"

namespace {

using namespace throng;
using engine::ExchangeKind;

constexpr size_t kMiB = size_t{1} << 20;
struct Row {
  int32_t user, item;
  int64_t time;
  int32_t value;
} __attribute__((packed));

struct Case {
  const char* name;
  size_t round_bytes, block_bytes;  // of one rank, to all others
  int rounds;
  bool made;
};

double median(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

/// The slowest rank's time for `work`, the median of some runs.
double measure(comm::Communicator& comm, int repeats, const std::function<double()>& work) {
  std::vector<double> all;
  for (int k = 0; k < repeats + 1; ++k) {
    comm.barrier();
    const double seconds = comm.allreduce_extreme(work(), comm::Op::kMax);
    if (k > 0) all.push_back(seconds);  // the first warms up
  }
  return median(all);
}

// As batches are serialised: with room for what the exchange adds.
Buffer block_of(size_t size) {
  Buffer block;
  block.reserve(size + data::kTrailerRoom);
  block.resize(size);
  return block;
}

Buffer make_block(const std::vector<Row>& rows, size_t size) {
  Buffer block = block_of(size / sizeof(Row) * sizeof(Row));
  for (size_t i = 0; i * sizeof(Row) < block.size(); ++i) std::memcpy(block.data() + i * sizeof(Row), &rows[(i * 7919) & (rows.size() - 1)], sizeof(Row));
  return block;
}

double exchange(comm::Communicator& comm, const Case& c, ExchangeKind kind, const std::vector<Row>& rows, int64_t& sum) {
  MemoryBudget budget(uint64_t{4} << 30);
  SpillQuota quota;
  engine::Buckets buckets({budget, quota, "/tmp"});
  engine::Exchange exchange(comm, comm.size(), 0, buckets, kind);
  const size_t blocks = c.round_bytes / c.block_bytes;
  std::vector<Buffer> ready;
  for (size_t k = 0; k < blocks && !c.made; ++k) {
    ready.push_back(block_of(c.block_bytes));
    std::memset(ready.back().data(), int(k), c.block_bytes);
  }
  comm.barrier();
  Stopwatch watch;
  for (int round = 0; round < c.rounds; ++round) {
    for (size_t k = 0; k < blocks; ++k) {
      const int to = (comm.rank() + 1 + int(k) % (comm.size() - 1)) % comm.size();
      exchange.send(to, c.made ? make_block(rows, c.block_bytes) : std::move(ready[k]));
    }
    exchange.drain(round + 1 == c.rounds);
    if (c.rounds == 1 && !c.made) break;
    ready.clear();
    for (auto& stored : buckets.take(comm.rank())) {
      Buffer block = stored.take();
      for (size_t i = 0; c.made && i < block.size(); i += sizeof(Row)) sum += reinterpret_cast<const Row*>(block.data() + i)->item;
      ready.push_back(std::move(block));  // sent on in the next round
    }
  }
  return watch.seconds();
}

double bare_alltoallv(comm::Communicator& comm, const Case& c) {
  const int n = comm.size();
  const int each = int(c.round_bytes) / (n - 1);
  std::vector<char> out(size_t(each) * size_t(n), 1), in(out.size(), 2);
  std::vector<int> counts(static_cast<size_t>(n), each), offsets(static_cast<size_t>(n));
  for (int r = 0; r < n; ++r) offsets[size_t(r)] = r * each;
  counts[size_t(comm.rank())] = 0;
  comm.barrier();
  Stopwatch watch;
  for (int round = 0; round < c.rounds; ++round) MPI_Alltoallv(out.data(), counts.data(), offsets.data(), MPI_BYTE, in.data(), counts.data(), offsets.data(), MPI_BYTE, MPI_COMM_WORLD);
  return watch.seconds();
}

// Two ranks: both send while they receive, in messages of the block's size.
double bare_messages(comm::Communicator& comm, const Case& c) {
  const size_t blocks = c.round_bytes / c.block_bytes;
  std::vector<char> out(c.round_bytes, 1), in(c.round_bytes, 2);
  const int peer = comm.rank() ^ 1;
  comm.barrier();
  Stopwatch watch;
  for (int round = 0; round < c.rounds && peer < comm.size(); ++round)
    for (size_t k = 0; k < blocks; ++k)
      MPI_Sendrecv(out.data() + k * c.block_bytes, int(c.block_bytes), MPI_BYTE, peer, 7, in.data() + k * c.block_bytes, int(c.block_bytes), MPI_BYTE, peer, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return watch.seconds();
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();  // as the program does
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 3, scale = argc > 2 ? std::atoi(argv[2]) : 1;
  return comm::run_on_mpi(
      [&](comm::Communicator& comm) {
        if (comm.size() < 2) throw job_error("one rank has nobody to send to");
        std::vector<Row> rows(size_t{1} << 14);
        for (size_t i = 0; i < rows.size(); ++i) rows[i] = {int32_t(i), int32_t(i % 100), int64_t(i), 1};
        const char* separator = "[";
        auto print = [&](const Case& c, const char* system, double seconds) {
          const double bytes = double(c.round_bytes) * c.rounds * comm.size();
          if (comm.rank() == 0) std::printf("%s{\"case\": \"%s\", \"system\": \"%s\", \"bytes\": %.0f, \"seconds\": %.6f}", separator, c.name, system, bytes, seconds);
          separator = ",\n ";
        };
        int64_t sum = 0;
        for (const Case& c : {Case{"large", 256 * kMiB / size_t(scale), kMiB, 1, false}, Case{"blocks", 4 * kMiB, kMiB / 4, 300 / scale, false}, Case{"made", 256 * kMiB / size_t(scale), kMiB, 1, true}}) {
          print(c, "stream", measure(comm, repeats, [&] { return exchange(comm, c, ExchangeKind::kStream, rows, sum); }));
          print(c, "collective", measure(comm, repeats, [&] { return exchange(comm, c, ExchangeKind::kCollective, rows, sum); }));
          print(c, "MPI_Alltoallv", measure(comm, repeats, [&] { return bare_alltoallv(comm, c); }));
          if (comm.size() == 2) print(c, "MPI_Sendrecv", measure(comm, repeats, [&] { return bare_messages(comm, c); }));
        }
        if (comm.rank() == 0) std::printf("]\n");
        volatile int64_t seen = sum;  // so that it is computed
        (void)seen;
        return 0;
      },
      [](const Error& e) { std::fprintf(stderr, "%s\n", e.text().c_str()); });
}
