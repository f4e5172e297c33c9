// Rows of a partition cut into pieces: the unit that is stored, and worked on at once.
#pragma once
#include <functional>
#include <vector>

#include "framework/data/batch.h"

namespace throng::data {

/// A piece holds at most this much (rows larger than it stand alone), so that any partition can be worked through in bounded memory.
inline constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

/// Cuts rows, however they come, into pieces that follow from the rows alone. One thread; holds back less than a piece.
class PieceCutter {
 public:
  PieceCutter(Schema schema, std::function<void(Batch)> piece) : schema_(std::move(schema)), piece_(std::move(piece)) {}
  void add(const Batch& rows);
  /// Hands out what is held back; the next row begins another piece.
  void finish();

 private:
  Schema schema_;
  std::function<void(Batch)> piece_;
  std::vector<Batch> held_;
  uint64_t held_bytes_ = 0;
};

}  // namespace throng::data
