// Parameters of every operator that trains over shards: how the work is cut, and what is kept on the way.
#pragma once
#include "framework/graph/params.h"
#include "framework/train/safetensors.h"
#include "framework/train/trainer.h"

namespace throng::train {

struct RunParams {
  int shards = 8;
  bool reproducible = true;
  int64_t checkpoint_every = 200;
  Duration checkpoint_after{0};
  int64_t keep_checkpoints = 1;
  std::string wire = "float32";
  std::string stored = "float32";

  /// What the trainer is told of them; `shards` is that of the run (shards_of_run).
  void apply(TrainerOptions& options) const {
    options.shards = shards;
    options.checkpoint_every = checkpoint_every, options.checkpoint_seconds = double(checkpoint_after.microseconds) / 1e6, options.keep_checkpoints = keep_checkpoints;
    options.bfloat16_wire = wire == "bfloat16", options.bfloat16_stored = stored == "bfloat16";
  }
  /// model.safetensors in the folder of a step. Rank-local.
  void save(const std::filesystem::path& folder, const nn::Parameters& parameters, std::span<const float> weights) const {
    save_safetensors(folder / "model.safetensors", parameters, weights, stored == "bfloat16" ? Stored::kBfloat16 : Stored::kFloat32);
  }
};

template <class P>
auto run_fields() {
  return graph::fields(
      graph::field("shards", &P::shards, "logical shards of a minibatch, a power of two, at least the number of ranks; results depend on it, not on ranks").min(1).max(1024),
      graph::field("reproducible", &P::reproducible, "off: as many shards as ranks times threads, which is quicker with few of them, but results then depend on both"),
      graph::field("checkpoint_every", &P::checkpoint_every, "steps between checkpoints; 0: after each epoch, and by `checkpoint_after`, only. They are written beside the steps that follow; one that comes due before the last is on disk is put off until then").min(0),
      graph::field("checkpoint_after", &P::checkpoint_after, "time between checkpoints within an epoch; 0s: not by time"),
      graph::field("keep_checkpoints", &P::keep_checkpoints, "the newest is checkpoint.h5 in the step's folder; more than 1: so many stay there under the names of their steps, and one of them put in its place is gone on from").min(1).max(1000),
      graph::field("wire", &P::wire, "bfloat16: gradients, but for those that come by rows, travel in half the bytes and are rounded at each sum of shards, on any number of ranks alike").one_of({"float32", "bfloat16"}),
      graph::field("stored", &P::stored, "bfloat16: trained weights are rounded to it before they are judged, and model.safetensors has half the size").one_of({"float32", "bfloat16"}));
}

}  // namespace throng::train
