#include "operators/next_item/trained_recommender.h"

#include "framework/base/files.h"
#include "framework/data/array_store.h"
#include "framework/train/safetensors.h"

namespace throng::op {

using namespace recommend;

using nlohmann::json;

data::Schema TrainedRecommender::bind(const std::vector<data::Schema>& inputs) {
  if (training_.batch < training_.shards) throw job_error("'batch' is {}; expected at least 'shards', {}", training_.batch, training_.shards);
  if (options_.sparse) {
    if (options_.loss == ItemModelOptions::Loss::kFull) throw job_error("'sparse' goes with losses that look at few items; 'loss' is full, which moves all");
    if (training_.weight_decay > 0) throw job_error("'sparse' goes without 'weight_decay', which moves all items");
    if (training_.optimizer != "sgd" && training_.optimizer != "adagrad" && training_.optimizer != "adam") throw job_error("'sparse' goes with optimizer sgd, adagrad or adam, not {}", training_.optimizer);
  }
  if (training_.patience > 0 && !training_.validation) throw job_error("'patience' needs 'validation', which is off");
  if (options_.hidden % options_.heads != 0) throw job_error("'hidden' is {}; expected a multiple of 'heads', {}", options_.hidden, options_.heads);
  return Recommender::bind(inputs);
}

std::unique_ptr<ItemScorer> TrainedRecommender::learn(graph::CollectiveContext& context) {
  auto& comm = context.comm();
  options_.items = catalogue().size();
  model_ = std::make_unique<ItemModel>(options_, training_.batch, shards(), seed);
  std::vector<std::vector<const ItemSequence*>> users(shard_ends().size());
  for (size_t s = 0, i = 0; s < users.size(); ++s)
    for (; i < shard_ends()[s]; ++i)
      for (const auto& user : held()[i].users)
        if (user.items.size() >= 2) users[s].push_back(&user);
  model_->take(comm, std::move(users));
  if (model_->steps_per_epoch() == 0) throw data_error("no user has two training items of the catalogue").with_hint("are all rows held out? lower 'min_count', or switch 'validation' off");

  // The best epoch so far is kept beside the checkpoint, so that a run that goes on knows it.
  const auto best_path = context.folder() / "best.h5", curve_path = context.folder() / "curve.json";
  json curve = json::array();
  std::string old;
  if (comm.rank() == 0 && std::filesystem::exists(curve_path) && std::filesystem::exists(context.folder() / "checkpoint.h5")) old = read_file(curve_path);
  comm.broadcast(old);
  if (!old.empty()) curve = json::parse(old);
  model_->after_epoch = [&](int64_t epoch, double loss, const std::vector<float>& weights) {
    while (int64_t(curve.size()) > epoch) curve.erase(curve.size() - 1);
    json point{{"epoch", epoch + 1}, {"loss", loss}};
    bool more = true;
    if (training_.validation) {
      const double score = validate(context, *model_->scorer(weights)).ndcg10();
      double best = -1;
      int64_t best_epoch = 0;
      for (const auto& p : curve)
        if (p["validation_ndcg10"].get<double>() > best) best = p["validation_ndcg10"], best_epoch = p["epoch"].get<int64_t>() - 1;
      point["validation_ndcg10"] = score;
      if (score > best) {
        best_epoch = epoch;
        if (comm.rank() == 0) {
          data::ArrayStore store;
          store.put("weights", weights);
          store.save(best_path);
        }
      }
      more = training_.patience == 0 || epoch - best_epoch < training_.patience;
    }
    curve.push_back(point);
    if (comm.rank() == 0) write_file_atomically(curve_path, curve.dump());
    comm.barrier();
    return more;
  };
  train::TrainerOptions trainer;
  train::StepProfile profile;
  training_.apply(trainer);
  trainer.epochs = training_.epochs, trainer.shards = shards(), trainer.clip = training_.clip, trainer.accumulate = training_.accumulate, trainer.profile = &profile;
  trainer.optimizer.kind = nn::OptimizerOptions::kind_of(training_.optimizer), trainer.optimizer.lr = training_.lr, trainer.optimizer.weight_decay = training_.weight_decay;
  trainer.seed = seed, trainer.folder = context.folder();
  trainer.progress = [&](double fraction, const std::string& text) { context.progress(fraction, text); };
  trainer.stop_agreed = [&] { return context.stop_agreed(); };
  weights_ = train::train(*model_, comm, context.pool(), trainer);
  if (training_.validation) weights_ = data::ArrayStore::load(best_path).floats("weights");
  save_catalogue(context);
  if (comm.rank() == 0) {
    train::save_safetensors(context.folder() / "model.safetensors", model_->parameters(), weights_);
    context.metric("curve", curve.dump());
    context.metric("profile", profile.to_json().dump());
  }
  comm.barrier();
  return model_->scorer(weights_);
}

void TrainedRecommender::finished(graph::CollectiveContext& context) {
  std::error_code ignored;
  if (context.comm().rank() == 0)  // the checkpoint first: it needs the best
    for (const char* name : {"checkpoint.h5", "best.h5"}) std::filesystem::remove(context.folder() / name, ignored);
}

std::unique_ptr<ItemScorer> TrainedRecommender::restore(const std::filesystem::path& folder) {
  options_.items = catalogue().size();
  model_ = std::make_unique<ItemModel>(options_, training_.batch, shards(), seed);
  weights_.assign(model_->parameters().size(), 0.0f);
  if (train::start_from_safetensors(folder / "model.safetensors", model_->parameters(), weights_) != model_->parameters().entries().size())
    throw data_error("{}: does not have all weights of the model", (folder / "model.safetensors").string());
  return model_->scorer(weights_);
}

}  // namespace throng::op
