// Scores on held-out rows, of the model and of three baselines: most popular, repeat the last, first-order Markov.
// Internal to train_sequence.
#pragma once
#include <array>
#include <nlohmann/json.hpp>

#include "operators/train_sequence/attended.h"
#include "operators/train_sequence/sequence_data.h"

namespace throng::op {

/// Categories: accuracy, hit rate at 5 (equal scores count as misses), log-loss; also on switches only (the next value differs from the last), where every
/// predictor must name another value than the last. Values that are not among the classes count as misses; the log-loss is
/// over the others. Numbers: root mean square error. Events: log-loss, accuracy at 0.5, AUC (ties count half). Intervals of the model's by bootstrap over sequences, whose rows are
/// not independent of each other.
class Judge {
  static constexpr size_t kLosses = 3, kOfSequence = 5;  // of a sequence: examples, known ones, right ones, hits at 5, the loss

 public:
  /// `bootstrap`: samples of sequences.
  Judge(const SequenceEncoding& encoding, comm::Communicator& comm, int64_t bootstrap, uint64_t seed) : e_(encoding), comm_(comm), samples_(size_t(bootstrap)), seed_(seed) {}
  /// Loss of the model, of popular, of Markov; then what each sample of sequences comes to.
  size_t num_sums() const { return kLosses + samples_ * kOfSequence; }
  static double probability(std::span<const float> logits, size_t k);

  /// Counts what the baselines learn from.
  void see_training(const EncodedRows& rows);
  /// Collective.
  void learn_baselines();

  enum Count { kExamples, kKnown, kModel, kPopular, kLast, kMarkov, kModelAt5, kSwitches, kModelSwitch, kPopularSwitch, kMarkovSwitch, kNumCounts };

  /// One partition's examples; used by one thread.
  class Partition {
   public:
    Partition(const Judge& judge, const EncodedRows& rows) : judge_(judge), rows_(rows), of_sequence_(judge.samples_ > 0 ? rows.num_sequences() : 0) {}
    /// `out` are logits of classes; `value` the predicted number or probability.
    void see(size_t row, std::span<const float> out, double value);
    /// `attended`: of the rows, or null.
    data::Batch predictions(const data::Batch& batch, const data::Schema& schema, const Attended* attended) const;
    /// num_sums() numbers; `number` is the partition's.
    std::vector<double> sums(int64_t number) const;

   private:
    friend class Judge;
    void count(size_t row, std::span<const float> out, double value);
    struct Example {
      size_t row;
      int32_t predicted;
      double value;
      double likelihood;  ///< of what was the case; nan where it is no class
    };
    const Judge& judge_;
    const EncodedRows& rows_;
    std::vector<Example> examples_;
    std::vector<int64_t> counts_ = std::vector<int64_t>(kNumCounts);
    std::vector<double> sums_ = std::vector<double>(kLosses);
    std::vector<std::array<double, kOfSequence>> of_sequence_;
    std::vector<std::pair<float, uint8_t>> scores_;  // events: score, happened
  };
  void add(const Partition& part);

  /// Collective. `sums` are the partitions' sums, added in order.
  nlohmann::json result(const std::vector<double>& sums);

 private:
  nlohmann::json measures(const std::vector<double>& sums);
  // The model's intervals, and the protocol that all of them go by.
  void add_intervals(const std::vector<double>& sums, nlohmann::json& result) const;
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
  size_t samples_;
  uint64_t seed_;
};

}  // namespace throng::op
