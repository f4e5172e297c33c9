#include "operators/next_item/trained_recommender.h"

#include "framework/train/safetensors.h"

namespace throng::op {

using namespace recommend;

using nlohmann::json;

data::Schema TrainedRecommender::bind(const std::vector<data::Schema>& inputs) {
  train::check_batch(training_.batch, training_.batch_rows, training_.shards);
  training_.check(base_folder);
  if (!training_.vectors.empty() && !std::filesystem::exists(base_folder / training_.vectors)) throw job_error("'vectors' is '{}': there is no such file", training_.vectors);
  if (options_.sparse) training_.check_sparse();
  if (training_.patience > 0 && !training_.validation) throw job_error("'patience' needs 'validation', which is off");
  if (options_.hidden % options_.heads != 0) throw job_error("'hidden' is {}; expected a multiple of 'heads', {}", options_.hidden, options_.heads);
  return Recommender::bind(inputs);
}

std::unique_ptr<ItemScorer> TrainedRecommender::learn(graph::CollectiveContext& context) {
  auto& comm = context.comm();
  options_.items = catalogue().size();
  model_ = std::make_unique<ItemModel>(options_, training_.batch, shards(), seed, training_.batch_rows);
  model_->set_draw(NegativeDraw(catalogue(), options_.sample_alpha));
  training_.set_groups_of(model_->change_parameters());
  std::vector<std::vector<std::span<const int32_t>>> users(shard_ends().size());
  for (size_t s = 0, i = 0; s < users.size(); ++s)
    for (; i < shard_ends()[s]; ++i)
      for (const auto& user : held()[i].users)
        if (user.items.size() >= 2) users[s].push_back(user.items);
  model_->take(comm, std::move(users), context.arena());
  if (model_->steps_per_epoch() == 0) throw data_error("no user has two training items of the catalogue").with_hint("are all rows held out? lower 'min_count', or switch 'validation' off");

  train::EpochCurve curve(comm, context.folder(), "validation_ndcg10", true);
  model_->after_epoch = [&](const train::EpochEnd& end) {
    json point{{"epoch", end.epoch + 1}, {"loss", end.training_loss}};
    if (!training_.validation) return curve.add(end.epoch, std::move(point)), true;
    point["validation_ndcg10"] = validate(context, *model_->scorer(end.weights())).ndcg10();
    return curve.add_validated(end, std::move(point), training_.patience);
  };
  train::TrainerOptions trainer;
  train::StepProfile profile;
  training_.RunParams::apply(trainer);
  training_.OptimizerParams::apply(trainer, model_->steps_per_epoch(), model_->parameters(), base_folder);
  trainer.epochs = training_.epochs, trainer.shards = shards(), trainer.profile = &profile;
  if (!training_.vectors.empty()) vectors_.emplace(base_folder / training_.vectors, [this](std::string_view item) { return catalogue().find(item); }, model_->items()).add_to(trainer);
  trainer.seed = seed, trainer.folder = context.folder();
  trainer.progress = [&](double fraction, const std::string& text) { context.progress(fraction, text); };
  trainer.stop_agreed = [&] { return context.stop_agreed(); };
  weights_ = train::train(*model_, comm, context.pool(), trainer);
  if (training_.validation) weights_ = curve.best_weights(model_->parameters().size());
  save_catalogue(context);
  if (comm.rank() == 0) {
    training_.save(context.folder(), model_->parameters(), weights_);
    context.metric("curve", curve.points().dump());
    context.metric("profile", profile.to_json().dump());
  }
  comm.barrier();
  return model_->scorer(weights_, options_.attended);
}

std::unique_ptr<ItemScorer> TrainedRecommender::restore(const std::filesystem::path& folder) {
  options_.items = catalogue().size();
  model_ = std::make_unique<ItemModel>(options_, training_.batch, shards(), seed);
  weights_ = train::weights_from_safetensors(folder / "model.safetensors", model_->parameters());
  return model_->scorer(weights_, options_.attended);
}

}  // namespace throng::op
