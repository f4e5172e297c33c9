// The vectors of users and items, and the rows they are learned from. Internal to matrix_factorization.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/data/array_store.h"

namespace throng::op {

/// What one user gave to one item.
struct Rating {
  int32_t item;
  float value;
};

/// This rank's users, shard after shard.
struct RatedItems {
  std::vector<std::vector<Rating>> of_user;
  std::vector<size_t> shard_ends;    ///< in `of_user`, of the shards of this rank
  std::vector<uint64_t> user_hash;   ///< names a user wherever it lies
  size_t items = 0;
  double mean = 0;                   ///< of all values
  size_t shard_begin(size_t s) const { return s == 0 ? 0 : shard_ends[s - 1]; }
};

/// Vectors and biases: of all items, and of this rank's users.
struct Factors {
  size_t width = 0;
  std::vector<float> users, user_bias, items, item_bias;
  const float* user(size_t u) const { return &users[u * width]; }
  const float* item(size_t i) const { return &items[i * width]; }
  float* user(size_t u) { return &users[u * width]; }
  float* item(size_t i) { return &items[i * width]; }
  float product(size_t u, size_t i) const;

  /// Normal numbers from the seed, the user's hash and the item's number; users without a row are 0.
  static Factors begin(const RatedItems& data, size_t width, double deviation, uint64_t seed);
  /// Collective. All users' vectors on every rank, in the order of shards.
  std::vector<float> all_users(comm::Communicator& comm) const;
  /// Collective: all users go to rank 0, which puts everything in `store`.
  void save(comm::Communicator& comm, data::ArrayStore& store, const std::string& prefix) const;
  /// Collective. This rank's users, and the items.
  void load(comm::Communicator& comm, const data::ArrayStore& store, const std::string& prefix);
};

/// One side's vectors from the other's, which stay: Zhou et al. (2008) on values less their mean, or, implicit, Hu et al. (2008) on confidences 1 + alpha value.
struct LeastSquares {
  double regularization = 0, alpha = 0;
  bool implicit = false;
  /// (width, width): the products of all vectors of the other side, which an implicit system begins with; zeros otherwise.
  std::vector<double> gram(const std::vector<float>& others, size_t width) const;
  /// The vector whose values with the others come nearest to those of a row; 0 for an empty row. A data error where several do.
  void solve(const std::vector<Rating>& row, double mean, const std::vector<float>& others, const std::vector<double>& gram, size_t width, float* into) const;
};

/// Alternating least squares over all ranks.
class Alternating {
 public:
  Alternating(comm::Communicator& comm, const RatedItems& data, const LeastSquares& squares);
  /// Collective. Users, then items; `parallel_for(n, body)` runs body(i) on all workers.
  void epoch(comm::Communicator& comm, Factors& factors, const std::function<void(size_t, const std::function<void(size_t)>&)>& parallel_for) const;

 private:
  const RatedItems& data_;
  LeastSquares squares_;
  std::vector<size_t> my_items_;
  std::vector<std::vector<Rating>> of_item_;  // by users' numbers over all ranks, for the items this rank solves
};

/// Stochastic gradient descent over blocks of users and items (Gemulla et al., 2011).
class Stochastic {
 public:
  enum class Loss { kSquared, kPairs };
  Stochastic(comm::Communicator& comm, const RatedItems& data, Loss loss, int shards, double lr, double regularization, uint64_t seed);
  /// Collective. Returns the mean loss of the rows as they were met.
  double epoch(comm::Communicator& comm, Factors& factors, int64_t number, const std::function<void(size_t, const std::function<void(size_t)>&)>& parallel_for) const;

 private:
  struct Case {
    uint32_t user;
    int32_t item;
    float value;
  };
  struct Sums {
    double loss = 0;
    int64_t cases = 0;
  };
  int block_at(int shard, int turn) const { return (shard + turn) % shards_; }
  // What an epoch deals to the blocks: items, and this rank's cases by shard and block.
  struct Deal {
    std::vector<std::vector<int32_t>> items;
    std::vector<std::vector<std::vector<Case>>> cases;
  };
  Deal deal(int64_t epoch) const;
  Sums meet(Factors& factors, const Deal& deal, size_t own_shard, int block, int64_t epoch) const;
  void pass_on(comm::Communicator& comm, const Deal& deal, Factors& factors, int turn) const;
  void share(comm::Communicator& comm, const Deal& deal, Factors& factors, int turn) const;
  const RatedItems& data_;
  Loss loss_;
  int shards_, first_;
  double lr_, regularization_;
  uint64_t seed_;
};

}  // namespace throng::op
