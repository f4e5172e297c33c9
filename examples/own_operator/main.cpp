// The same job as job.yaml, built in C++ and run on three ranks as threads of this program.
#include <cstdio>

#include "emphasis.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "operators/filter/filter.h"
#include "operators/read_events/read_events.h"

extern "C" void throng_register(throng::graph::Registry& registry);

int main(int argc, char** argv) {
  using namespace throng;
  if (argc != 3) {
    std::fprintf(stderr, "usage: my_program EVENTS RUN_DIRECTORY\n");
    return 2;
  }
  throng_register(graph::registry());
  graph::Job job("own_operator");
  auto events = job.step("events", op::ReadEvents{.path = {argv[1]}});
  auto loud = job.step("loudness", mine::Emphasis{.mark = "!"}, events);
  job.step("loud", op::Filter{.where = "emphasis > 0"}, loud);
  try {
    comm::run_on_threads(3, [&](comm::Communicator& comm) {
      engine::RunOptions options;
      options.out = argv[2];
      auto result = engine::run(job, engine::prepare(job, comm, graph::Faults()), comm, options);
      for (const auto& step : result.steps) std::printf("%s: %lld rows, %s\n", step.id.c_str(), (long long)step.rows, step.content_hash.c_str());
    });
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.text().c_str());
    return e.exit_code();
  }
  return 0;
}
