// One pass over the rows of a stage: from its head, through its maps, piece by piece.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "framework/engine/buckets.h"
#include "framework/engine/checkpoint.h"
#include "framework/engine/grouping.h"
#include "framework/engine/rank_state.h"
#include "framework/engine/routing.h"
#include "framework/engine/side_inputs.h"
#include "framework/engine/step_counts.h"

namespace throng::engine {

/// Where a piece is.
struct Place {
  int64_t partition = 0, row = 0;  ///< `row` is the work's own count
  double fraction = 0;             ///< of this rank's partitions, this one included
};

/// The rows of one stage on one rank. Local.
class StagePass {
 public:
  StagePass(RankState& state, Lane& lane, const Stage& stage, SideInputs& sides, StepCounts& counts, WaitingRows& buckets)
      : state_(state), lane_(lane), stage_(stage), sides_(sides), counts_(counts), buckets_(buckets) {}

  /// What is left to do with a piece when its turn has come, in the calling thread.
  using Rest = std::function<void()>;
  using Work = std::function<Rest(Place&, data::Batch)>;
  /// Calls `work` on the pool with the rows of each of these partitions after the maps, piece by piece, then in the calling thread and in order
  /// what it gave. Partitions that the budget cannot take as a whole are streamed. Returns how many it was through with when the round was due
  /// to end.
  size_t for_each_piece(std::span<const int64_t> partitions, const Work& work);

  /// The prepared rows that the stage sends, the columns of the order. The planner sees to it that they can be read twice: the head is a
  /// stored dataset, or a source that is one.
  SampledInput sampled_input();

 private:
  struct Weight {
    uint64_t bytes = 0;
    bool large = false;
  };
  using Blocks = std::vector<std::vector<StoredBlock>>;
  Weight weight(int64_t partition);
  const data::DatasetReader* stored_head();
  bool dropped(const data::Schema& schema, const data::PiecePlace& piece);
  data::Batch apply_maps(data::Batch batch);
  Grouping grouping();
  std::shared_ptr<const data::Schema> stored_schema(size_t node, size_t input);
  Resources resources();
  void produce(const Grouping* groups, int64_t partition, Blocks blocks, bool stream, const std::function<void(data::Batch)>& emit);

  RankState& state_;
  Lane& lane_;
  const Stage& stage_;
  SideInputs& sides_;
  StepCounts& counts_;
  WaitingRows& buckets_;
};

}  // namespace throng::engine
