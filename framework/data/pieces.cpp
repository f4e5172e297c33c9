#include "framework/data/pieces.h"

namespace throng::data {
namespace {

// Stored bytes of rows: lengths and values, without validity.
class RowBytes {
 public:
  explicit RowBytes(const Batch& batch) {
    for (const auto& c : batch.columns()) {
      if (is_fixed(c->type())) fixed_ += value_bytes(c->type());
      else fixed_ += 4, lists_.push_back(c.get());
    }
  }
  uint64_t before(int64_t row) const {
    uint64_t bytes = fixed_ * uint64_t(row);
    for (const Column* c : lists_) {
      const int64_t end = c->offsets()[size_t(row)];
      bytes += c->type() == Type::kListString ? 4 * uint64_t(end) + uint64_t(c->string_offsets()[size_t(end)]) : uint64_t(end) * value_bytes(c->type());
    }
    return bytes;
  }
  // Where rows from `first` stop to fit beside `taken` bytes.
  int64_t fits(int64_t first, int64_t end, uint64_t taken) const {
    const uint64_t start = before(first);
    int64_t low = first, high = end;
    while (low < high) {
      const int64_t middle = (low + high + 1) / 2;
      if (taken + before(middle) - start <= kPieceBytes) low = middle;
      else high = middle - 1;
    }
    return low;
  }

 private:
  uint64_t fixed_ = 0;
  std::vector<const Column*> lists_;
};

}  // namespace

void PieceCutter::add(const Batch& rows) {
  const RowBytes bytes(rows);
  const int64_t n = rows.num_rows();
  for (int64_t at = 0; at < n;) {
    int64_t end = bytes.fits(at, n, held_bytes_);
    if (end == at && held_.empty()) ++end;  // a row larger than a piece
    if (end > at) {
      held_.push_back(at == 0 && end == n ? rows : rows.slice(at, end - at));
      held_bytes_ += bytes.before(end) - bytes.before(at);
    }
    if (end < n) finish();
    at = end;
  }
}

void PieceCutter::finish() {
  if (held_.empty()) return;
  Batch piece = Batch::concat(schema_, held_);
  held_.clear();
  held_bytes_ = 0;
  piece_(std::move(piece));
}

}  // namespace throng::data
