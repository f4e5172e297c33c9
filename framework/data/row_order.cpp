#include "framework/data/row_order.h"

#include <algorithm>

#include "framework/data/compact_keys.h"
#include "framework/data/ordered_bits.h"

namespace throng::data {
namespace {

// Appends bit fields to the keys of all rows, most significant first.
class KeyWriter {
 public:
  explicit KeyWriter(std::vector<RowKeys::Key>& keys) : keys_(keys) {}
  size_t room() const { return 192 - used_; }
  /// A leading bit, then `value(row)`, `bits` bits; what does not fit is cut off below. One pass over the keys.
  template <class Lead, class Value>
  void add(const Lead& lead, size_t bits, const Value& value) {
    if (bits < 64) return put(bits + 1, [&](size_t r) { return uint64_t(lead(r)) << bits | value(r); });
    put(1, lead);
    put(64, value);
  }
  /// More bits of the column before.
  template <class Value>
  void go_on(size_t bits, const Value& value) { put(bits, value); }
  /// Nothing follows.
  void close() { used_ = 192; }

 private:
  template <class Value>
  void put(size_t bits, const Value& value) {
    const size_t word = used_ / 64, offset = used_ % 64;
    const size_t here = std::min(bits, 64 - offset), rest = std::min(bits - here, word + 1 < 3 ? size_t{64} : size_t{0});
    const size_t down = bits - here, up = 64 - offset - here;
    if (rest == 0) {
      for (size_t r = 0; r < keys_.size(); ++r) keys_[r][word] |= (value(r) >> down) << up;
    } else {
      for (size_t r = 0; r < keys_.size(); ++r) {
        const uint64_t v = value(r);
        keys_[r][word] |= (v >> down) << up;
        keys_[r][word + 1] |= v << (64 - rest);
      }
    }
    used_ += here + rest;
  }
  std::vector<RowKeys::Key>& keys_;
  size_t used_ = 0;
};

// Up to 8 bytes of a text as a number, zeros behind its end.
uint64_t of_text(std::string_view text, size_t from, size_t count) {
  uint64_t key = 0;
  for (size_t i = from; i < from + count; ++i) key = key << 8 | (i < text.size() ? uint64_t(static_cast<unsigned char>(text[i])) : 0);
  return key;
}

// One column: a bit that is 0 for null, then the value; all turned round where the order falls. Returns false where more must be compared.
bool add_column(const Column& c, bool falling, KeyWriter& writer) {
  const uint64_t flip = falling ? UINT64_MAX : 0;
  if (writer.room() < 2) return false;
  const bool nulls = c.has_nulls();
  auto add = [&](size_t bits, const auto& value) {
    const bool fits = writer.room() > bits;
    const uint64_t mask = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
    if (nulls)
      writer.add([&](size_t r) { return (uint64_t(c.is_valid(int64_t(r))) ^ flip) & 1; }, bits, [&](size_t r) { return ((c.is_valid(int64_t(r)) ? value(r) : 0) ^ flip) & mask; });
    else
      writer.add([&](size_t) { return uint64_t{1} ^ (flip & 1); }, bits, [&](size_t r) { return (value(r) ^ flip) & mask; });
    return fits;
  };
  switch (c.type()) {
    case Type::kBool: return add(1, [v = c.values<uint8_t>()](size_t r) { return uint64_t(v[r] != 0); });
    case Type::kInt32: return add(32, [v = c.values<int32_t>()](size_t r) { return uint64_t(uint32_t(v[r]) ^ 0x80000000u); });
    case Type::kInt64:
    case Type::kTimestamp: return add(64, [v = c.values<int64_t>()](size_t r) { return ordered_bits(v[r]); });
    case Type::kFloat32: return add(64, [v = c.values<float>()](size_t r) { return ordered_bits(double(v[r])); });
    case Type::kFloat64: return add(64, [v = c.values<double>()](size_t r) { return ordered_bits(v[r]); });
    case Type::kString: {
      bool whole = add(64, [&](size_t r) { return of_text(c.string(int64_t(r)), 0, 8); });
      size_t reach = 8;
      while (whole && writer.room() >= 8) {
        const size_t bytes = std::min<size_t>(8, writer.room() / 8);
        const uint64_t mask = bytes == 8 ? UINT64_MAX : (uint64_t{1} << 8 * bytes) - 1;
        writer.go_on(8 * bytes, [&](size_t r) { return (of_text(c.string(int64_t(r)), reach, bytes) ^ flip) & mask; });
        reach += bytes;
      }
      writer.close();  // whatever the texts are: keys are laid out alike
      for (int64_t r = 0; whole && r < c.size(); ++r) whole = c.string(r).size() <= reach && c.string(r).find('\0') == std::string_view::npos;
      return whole;
    }
    default: return false;
  }
}

// Whether rows are in order of a column as they stand.
bool in_order(const Column& c, bool falling) {
  auto values = [falling](auto v) {
    for (size_t r = 1; r < v.size(); ++r)
      if (falling ? v[r - 1] < v[r] : v[r] < v[r - 1]) return false;
    return true;
  };
  if (!c.has_nulls() && c.type() == Type::kInt32) return values(c.values<int32_t>());
  if (!c.has_nulls() && (c.type() == Type::kInt64 || c.type() == Type::kTimestamp)) return values(c.values<int64_t>());
  for (int64_t r = 1; r < c.size(); ++r) {
    const int k = Column::compare(c, r - 1, c, r);
    if (falling ? k < 0 : k > 0) return false;
  }
  return true;
}

}  // namespace

OrderBy OrderBy::parse(const std::string& item, const Schema& schema) {
  const bool falling = item.starts_with("-") && !schema.has(item);
  const Field& field = schema.at(falling ? item.substr(1) : item);
  if (is_list(field.type)) throw job_error("column '{}' is {}; rows cannot be ordered by it", field.name, type_name(field.type));
  return {field.name, falling};
}

RowKeys RowKeys::of(const Batch& batch, const std::vector<OrderBy>& columns) {
  RowKeys k;
  k.keys.assign(size_t(batch.num_rows()), {});
  KeyWriter writer(k.keys);
  for (const auto& o : columns) {
    if (add_column(batch.column(o.column), o.falling, writer)) continue;
    k.exact = false;
    break;
  }
  return k;
}

RowComparison::RowComparison(const Batch& a, const Batch& b, const std::vector<OrderBy>& columns) {
  for (const auto& o : columns) columns_.push_back({&a.column(o.column), &b.column(o.column), o.falling});
}

std::vector<int64_t> ordered_rows(const Batch& batch, const std::vector<OrderBy>& all, std::span<const int64_t> ties) {
  struct Entry {
    RowKeys::Key key;
    int64_t tie, row;
  };
  std::vector<OrderBy> columns = all;
  if (std::is_sorted(ties.begin(), ties.end())) {
    ties = {};  // row numbers do
    // Last columns that rows are in order of already, as a log's time: a sort by the others leaves them so.
    while (!columns.empty() && in_order(batch.column(columns.back().column), columns.back().falling)) columns.pop_back();
    if (batch.num_rows() < UINT32_MAX)
      if (auto compact = CompactKeys::of({&batch}, columns)) return radix_order(compact->of_batch[0], compact->bits);
  }
  const RowKeys keys = RowKeys::of(batch, columns);
  std::vector<Entry> entries(keys.keys.size());
  for (size_t r = 0; r < entries.size(); ++r) entries[r] = {keys.keys[r], ties.empty() ? int64_t(r) : ties[r], int64_t(r)};
  if (keys.exact) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      for (size_t w = 0; w < 3; ++w)
        if (a.key[w] != b.key[w]) return a.key[w] < b.key[w];
      return a.tie < b.tie;
    });
  } else {
    const RowComparison compare(batch, batch, columns);
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      for (size_t w = 0; w < 3; ++w)
        if (a.key[w] != b.key[w]) return a.key[w] < b.key[w];
      if (int k = compare(a.row, b.row)) return k < 0;
      return a.tie < b.tie;
    });
  }
  std::vector<int64_t> rows;
  rows.reserve(entries.size());
  for (const auto& e : entries) rows.push_back(e.row);
  return rows;
}

std::vector<int64_t> group_starts(const Batch& sorted, const std::vector<std::string>& columns) {
  const size_t n = size_t(sorted.num_rows());
  std::vector<uint8_t> differs(n, 0);  // from the row before
  if (n > 0) differs[0] = 1;
  for (const auto& name : columns) {
    const Column& c = sorted.column(name);
    auto compare = [&]<class T>(T) {
      auto v = c.values<T>();
      for (size_t r = 1; r < n; ++r) differs[r] |= uint8_t(v[r] != v[r - 1]);
    };
    const bool whole = is_fixed(c.type()) && !is_float(c.type());
    if (whole && value_bytes(c.type()) == 1) compare(uint8_t{});
    else if (whole && value_bytes(c.type()) == 4) compare(uint32_t{});
    else if (whole) compare(uint64_t{});
    if (!whole || c.has_nulls())
      for (size_t r = 1; r < n; ++r)
        if (!differs[r]) differs[r] = Column::compare(c, int64_t(r) - 1, c, int64_t(r)) != 0;
  }
  std::vector<int64_t> starts;
  for (size_t r = 0; r < n; ++r)
    if (differs[r]) starts.push_back(int64_t(r));
  starts.push_back(int64_t(n));
  return starts;
}

}  // namespace throng::data
