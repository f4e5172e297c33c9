// The conformance suite on MPI ranks: one program under mpirun. `--fail RANK` makes that rank throw in the middle.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "framework/comm/mpi_backend.h"
#include "tests/comm/conformance.h"

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
          if (comm.rank() == failing) throw data_error("file:7: rotten").at(2, 3, 4);
          for (;;) comm.barrier();
        }
        comm::conformance::everything(comm);
        comm::conformance::all_to_all(comm, comm.size() <= 3);
        int64_t failed = comm.allreduce(::testing::Test::HasFailure() ? 1 : 0);
        if (comm.rank() == 0) std::printf("%d ranks: %s\n", comm.size(), failed ? "FAILED" : "passed");
        return failed ? 1 : 0;
      },
      report);
}
