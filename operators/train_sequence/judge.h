// Scores on held-out rows, of the model and of three baselines: most popular, repeat the last, first-order Markov.
// Internal to train_sequence.
#pragma once
#include <nlohmann/json.hpp>

#include "operators/train_sequence/attended.h"
#include "operators/train_sequence/sequence_data.h"

namespace throng::op {

/// Categories: accuracy, hit rate at 5, log-loss; also on switches only (the next value differs from the last), where every
/// predictor must name another value than the last. Values that are not among the classes count as misses; the log-loss is
/// over the others. Numbers: root mean square error. Events: log-loss, accuracy at 0.5, AUC (ties count half).
class Judge {
 public:
  static constexpr size_t kNumSums = 3;  ///< floats: loss of the model, of popular, of Markov

  Judge(const SequenceEncoding& encoding, comm::Communicator& comm) : e_(encoding), comm_(comm) {}
  static double probability(std::span<const float> logits, size_t k);

  /// Counts what the baselines learn from.
  void see_training(const EncodedRows& rows);
  /// Collective.
  void learn_baselines();

  enum Count { kExamples, kKnown, kModel, kPopular, kLast, kMarkov, kModelAt5, kSwitches, kModelSwitch, kPopularSwitch, kMarkovSwitch, kNumCounts };

  /// One partition's examples; used by one thread.
  class Partition {
   public:
    Partition(const Judge& judge, const EncodedRows& rows) : judge_(judge), rows_(rows) {}
    /// `out` are logits of classes; `value` the predicted number or probability.
    void see(size_t row, std::span<const float> out, double value);
    /// `attended`: of the rows, or null.
    data::Batch predictions(const data::Batch& batch, const data::Schema& schema, const Attended* attended) const;
    std::vector<double> sums() const { return sums_; }

   private:
    friend class Judge;
    struct Example {
      size_t row;
      int32_t predicted;
      double value;
    };
    const Judge& judge_;
    const EncodedRows& rows_;
    std::vector<Example> examples_;
    std::vector<int64_t> counts_ = std::vector<int64_t>(kNumCounts);
    std::vector<double> sums_ = std::vector<double>(kNumSums);
    std::vector<std::pair<float, uint8_t>> scores_;  // events: score, happened
  };
  void add(const Partition& part);

  /// Collective. `sums` are the partitions' sums, added in order.
  nlohmann::json result(const std::vector<double>& sums);

 private:
  // The best class after `current`, or other than `current`.
  int32_t markov(int32_t current) const;
  int32_t markov_switch(int32_t current) const;
  int32_t popular_switch(int32_t current) const { return current == 0 ? 1 : 0; }  // classes are numbered by falling count

  const SequenceEncoding& e_;
  comm::Communicator& comm_;
  data::TextMap<data::ValueCount> transitions_;
  std::vector<int64_t> next_counts_;
  std::map<int32_t, std::vector<std::pair<int64_t, int32_t>>> after_;  // per class: its two most frequent successors and one more
  std::map<int32_t, int64_t> after_total_;
  std::map<std::pair<int32_t, int32_t>, int64_t> after_count_;
  int64_t happened_ = 0, training_ = 0;
  std::vector<int64_t> counts_ = std::vector<int64_t>(kNumCounts);
  std::vector<std::pair<float, uint8_t>> scores_;
};

}  // namespace throng::op
