// The conformance suites on MPI ranks: one program under mpirun. `--fail RANK [stream|collective]` makes that rank throw in the middle
// of barriers, or of an exchange.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "framework/comm/mpi_backend.h"
#include "tests/comm/conformance.h"
#include "tests/engine/exchange_conformance.h"

int main(int argc, char** argv) {
  using namespace throng;
  ::testing::GTEST_FLAG(throw_on_failure) = false;
  ::testing::InitGoogleTest(&argc, argv);
  int failing = argc > 2 && std::string_view(argv[1]) == "--fail" ? std::atoi(argv[2]) : -1;
  auto report = [](const Error& e) { std::fprintf(stderr, "failed: %s\n", e.text().c_str()); };
  return comm::run_on_mpi(
      [&](comm::Communicator& comm) {
        if (failing >= 0) {
          comm.barrier();
          if (argc > 3) {
            const auto kind = std::string_view(argv[3]) == "stream" ? engine::ExchangeKind::kStream : engine::ExchangeKind::kCollective;
            engine::conformance::Shuffle shuffle(comm, kind, 16, 4 * engine::conformance::kMiB);
            for (int i = 0; i < 4000 && !(i == 2000 && comm.rank() == failing); ++i) shuffle.send(i % 16, 5000);
            if (comm.rank() != failing) shuffle.finish();
          }
          if (comm.rank() == failing) throw data_error("file:7: rotten").at(2, 3, 4);
          for (;;) comm.barrier();
        }
        comm::conformance::everything(comm);
        comm::conformance::all_to_all(comm, comm.size() <= 3);
        for (auto kind : {engine::ExchangeKind::kStream, engine::ExchangeKind::kCollective}) engine::conformance::everything(comm, kind);
        int64_t failed = comm.allreduce(::testing::Test::HasFailure() ? 1 : 0);
        if (comm.rank() == 0) std::printf("%d ranks: %s\n", comm.size(), failed ? "FAILED" : "passed");
        return failed ? 1 : 0;
      },
      report);
}
