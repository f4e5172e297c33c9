// One training step's sums of gradients on simulated ranks: buckets become whole at times that are given, as `train/gradient_sums` sees them during the way back, and the thread that
// sums them is what is simulated (SMPI has no second thread in a rank). Numbers are not added up: all ranks share one piece of memory. Prints one JSON object.
// usage: smpirun ... gradient_sync MIB BUCKET_MIB direct|halving|tree|library MILLISECONDS
#include <mpi.h>
#include <smpi/smpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

// Of a core; see README.md.
constexpr double kAddBytesPerSecond = 4e9, kUpdateBytesPerSecond = 9.7e9;
constexpr double kForward = 1.0 / 3;  // share of a step before the first gradient is whole

// All simulated ranks are one process, which has its globals once: a rank's own are handed on.
struct Rank {
  int rank = 0, ranks = 1;
  char* room = nullptr;
};

void pass(double seconds) { smpi_execute_flops(seconds * 1e9); }  // hosts of the platform do 1 Gflop/s

void exchange(const Rank& r, int to, int from, int bytes, int from_bytes) {
  MPI_Request requests[2];
  MPI_Irecv(r.room, from_bytes, MPI_BYTE, from, 0, MPI_COMM_WORLD, &requests[0]);
  MPI_Isend(r.room, bytes, MPI_BYTE, to, 0, MPI_COMM_WORLD, &requests[1]);
  MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
}

// What train/gradient_sums does: each rank its slice of the bucket, from all others.
void all_to_all_slices(const Rank& r, int bytes) {
  std::vector<MPI_Request> requests;
  for (int d = 1; d < r.ranks; ++d) {
    requests.emplace_back();
    MPI_Irecv(r.room, bytes / r.ranks, MPI_BYTE, (r.rank - d + r.ranks) % r.ranks, 0, MPI_COMM_WORLD, &requests.back());
  }
  for (int d = 1; d < r.ranks; ++d) {
    requests.emplace_back();
    MPI_Isend(r.room, bytes / r.ranks, MPI_BYTE, (r.rank + d) % r.ranks, 0, MPI_COMM_WORLD, &requests.back());
  }
  MPI_Waitall(int(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
}

void sum_direct(const Rank& r, int bytes) {
  all_to_all_slices(r, bytes);
  pass(double(bytes) / r.ranks * (r.ranks - 1) / kAddBytesPerSecond);
}

// Neighbours first, with half of what is left: the same tree of sums as of shards side by side, in log2(ranks) messages. Ranks a power of two.
void sum_by_halving(const Rank& r, int bytes) {
  for (int bit = 1, left = bytes / 2; bit < r.ranks; bit *= 2, left /= 2) {
    exchange(r, r.rank ^ bit, r.rank ^ bit, left, left);
    pass(left / kAddBytesPerSecond);
  }
}
void share_by_doubling(const Rank& r, int bytes) {
  for (int bit = r.ranks / 2, part = bytes / r.ranks; bit >= 1; bit /= 2, part *= 2) exchange(r, r.rank ^ bit, r.rank ^ bit, part, part);
}

void receive(const Rank& r, int from, int bytes) {
  MPI_Request request;
  MPI_Irecv(r.room, bytes, MPI_BYTE, from, 0, MPI_COMM_WORLD, &request);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
}

// Whole buckets up a tree of ranks, and down again.
void sum_by_tree(const Rank& r, int bytes) {
  std::vector<MPI_Request> sends;
  const auto send = [&](int to) {
    sends.emplace_back();
    MPI_Isend(r.room, bytes, MPI_BYTE, to, 0, MPI_COMM_WORLD, &sends.back());
  };
  int bit = 1;
  for (; bit < r.ranks && !(r.rank & bit); bit *= 2) {
    if (r.rank + bit >= r.ranks) continue;
    receive(r, r.rank + bit, bytes);
    pass(bytes / kAddBytesPerSecond);
  }
  if (r.rank > 0) send(r.rank - bit), receive(r, r.rank - bit, bytes);
  for (bit /= 2; bit > 0; bit /= 2)
    if (r.rank + bit < r.ranks) send(r.rank + bit);
  MPI_Waitall(int(sends.size()), sends.data(), MPI_STATUSES_IGNORE);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  Rank r;
  MPI_Comm_rank(MPI_COMM_WORLD, &r.rank), MPI_Comm_size(MPI_COMM_WORLD, &r.ranks);
  if (argc != 5) return 2;
  const double mebibyte = 1 << 20, all = std::atof(argv[1]) * mebibyte, step = std::atof(argv[4]) / 1e3;
  const int bucket = int(std::atof(argv[2]) * mebibyte), count = int((all + bucket - 1) / bucket);
  const std::string method = argv[3];
  r.room = static_cast<char*>(SMPI_SHARED_MALLOC(size_t(bucket)));
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  for (int k = 0; k < count; ++k) {
    const double whole = step * (kForward + (1 - kForward) * double(k + 1) / count), now = MPI_Wtime() - start;
    if (now < whole) pass(whole - now);
    if (method == "direct") sum_direct(r, bucket);
    else if (method == "halving") sum_by_halving(r, bucket);
    else if (method == "tree") sum_by_tree(r, bucket);
    else MPI_Allreduce(MPI_IN_PLACE, r.room, bucket / 4, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
  const bool sliced = method == "direct" || method == "halving";
  const double update = all / (sliced ? r.ranks : 1) / kUpdateBytesPerSecond;
  pass(update);
  for (int k = 0; sliced && k < count; ++k) method == "direct" ? all_to_all_slices(r, bucket) : share_by_doubling(r, bucket);
  double seconds = MPI_Wtime() - start, most = 0;
  MPI_Allreduce(&seconds, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  if (r.rank == 0)
    std::printf("{\"ranks\": %d, \"method\": \"%s\", \"mebibytes\": %s, \"bucket\": %s, \"seconds\": %.6f, \"efficiency\": %.4f, \"update\": %.6f, \"not_hidden\": %.6f}\n", r.ranks, method.c_str(), argv[1], argv[2], most, step / most, update,
                most - step - update);
  SMPI_SHARED_FREE(r.room);
  MPI_Finalize();
  return 0;
}
