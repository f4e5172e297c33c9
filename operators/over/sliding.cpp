#include "operators/over/sliding.h"

#include <cmath>
#include <deque>

namespace throng::op {
namespace {

using data::Column;
using data::Type;

__extension__ typedef __int128 Wide;

// Calls emit(row) after enter(row) for every row that its frame has more than the one before, and leave(row) for every one it has less.
template <class Begin, class Enter, class Leave, class Emit>
void slide(const OrderedRows& rows, const Begin& begin, const Enter& enter, const Leave& leave, const Emit& emit) {
  rows.for_each_partition([&](int64_t first, int64_t end) {
    begin(first, end);
    int64_t low = first, high = first;
    for (int64_t r = first; r < end; ++r) {
      while (high < rows.to[size_t(r)]) enter(high++);
      while (low < rows.from[size_t(r)]) leave(low++);
      emit(r);
    }
  });
}

// A queue of states that can only be merged, not undone, as two stacks: the older rows' states summed up from behind (`front_`),
// the newer ones' from the front (`back_`). Each row is summed up from behind once at most.
template <class State>
class Queue {
 public:
  void begin(int64_t first) { front_first_ = middle_ = end_ = first, front_.clear(), back_ = State(); }
  template <class StateOf>
  void slide_to(int64_t from, int64_t to, const StateOf& state_of) {
    while (end_ < to) back_.merge(state_of(end_++));
    first_ = from;
    if (from <= middle_) return;
    front_.resize(size_t(end_ - from));
    State sum;
    for (int64_t r = end_; r-- > from;) {
      State s = state_of(r);
      s.merge(sum);
      front_[size_t(r - from)] = sum = s;
    }
    front_first_ = from, middle_ = end_, back_ = State();
  }
  State total() const {
    if (first_ >= middle_) return back_;
    State s = front_[size_t(first_ - front_first_)];
    s.merge(back_);
    return s;
  }

 private:
  std::vector<State> front_;  // rows front_first_ .. middle_, each with all behind it
  State back_;                // rows middle_ .. end_
  int64_t first_ = 0, front_first_ = 0, middle_ = 0, end_ = 0;
};

// A sum in twice the precision: what rounding cuts off `high` is kept in `low`.
struct FloatSum {
  double high = 0, low = 0;
  int64_t n = 0;
  void merge(const FloatSum& o) {
    const double sum = high + o.high, part = sum - high;
    low += o.low + ((high - (sum - part)) + (o.high - part));
    high = sum, n += o.n;
  }
  double value() const { return std::isfinite(high) ? high + low : high; }
};

struct Moments {
  int64_t n = 0;
  double mean = 0, square = 0;  // square: sum of (x - mean)^2
  static Moments of(double x) { return {1, x, std::isfinite(x) ? 0 : std::nan("")}; }
  void merge(const Moments& o) {
    if (o.n == 0) return;
    if (n == 0) {
      *this = o;
      return;
    }
    const double delta = o.mean - mean, total = double(n + o.n);
    mean += delta * double(o.n) / total;
    square += o.square + delta * delta * double(n) * double(o.n) / total;
    n += o.n;
  }
};

// Writes a float for each row, or null.
class Floats {
 public:
  explicit Floats(const OrderedRows& rows) : column_(Column::zeros(Type::kFloat64, rows.batch.num_rows())) {}
  void set(int64_t row, double value) { column_.mutable_values<double>()[size_t(row)] = value; }
  void set_null(int64_t row) { column_.set_null(row); }
  Column done() { return std::move(column_); }

 private:
  Column column_;
};

Column whole_sums(const OrderedRows& rows, const Column& x, bool mean) {
  Column out = Column::zeros(mean ? Type::kFloat64 : Type::kInt64, x.size());
  Wide sum = 0;  // of at most 2^63 values: cannot overflow
  int64_t n = 0;
  slide(
      rows, [&](int64_t, int64_t) { sum = 0, n = 0; }, [&](int64_t r) { if (x.is_valid(r)) sum += x.as_int64(r), ++n; },
      [&](int64_t r) { if (x.is_valid(r)) sum -= x.as_int64(r), --n; },
      [&](int64_t r) {
        if (n == 0) out.set_null(r);
        else if (mean) out.mutable_values<double>()[size_t(r)] = double(sum) / double(n);
        else if (sum != Wide(int64_t(sum))) throw data_error("the sum of a frame does not fit a 64-bit whole number").with_hint("sum floats: sum(float(x))");
        else out.mutable_values<int64_t>()[size_t(r)] = int64_t(sum);
      });
  return out;
}

Column float_sums(const OrderedRows& rows, const Column& x, bool mean) {
  Floats out(rows);
  Queue<FloatSum> queue;
  auto state = [&](int64_t r) { return x.is_valid(r) ? FloatSum{x.as_double(r), 0, 1} : FloatSum{}; };
  rows.for_each_partition([&](int64_t first, int64_t end) {
    queue.begin(first);
    for (int64_t r = first; r < end; ++r) {
      queue.slide_to(rows.from[size_t(r)], rows.to[size_t(r)], state);
      const FloatSum sum = queue.total();
      if (sum.n == 0) out.set_null(r);
      else out.set(r, mean ? sum.value() / double(sum.n) : sum.value());
    }
  });
  return out.done();
}

// Below this, n times a sum of n squares fits 128 bits, for as many rows as that.
constexpr int64_t kSmall = int64_t{1} << 31;

bool all_small(const Column& x, int64_t first, int64_t end) {
  if (!is_integer(x.type()) || end - first >= kSmall) return false;
  for (int64_t r = first; r < end; ++r)
    if (x.as_int64(r) <= -kSmall || x.as_int64(r) >= kSmall) return false;
  return true;
}

}  // namespace

Column frame_sizes(const OrderedRows& rows) {
  Column out = Column::zeros(Type::kInt64, rows.batch.num_rows());
  for (size_t r = 0; r < rows.from.size(); ++r) out.mutable_values<int64_t>()[r] = rows.to[r] - rows.from[r];
  return out;
}

Column frame_counts(const OrderedRows& rows, const Column& x) {
  if (!x.has_nulls()) return frame_sizes(rows);
  Column out = Column::zeros(Type::kInt64, x.size());
  auto v = out.mutable_values<int64_t>();
  int64_t n = 0;
  slide(
      rows, [&](int64_t, int64_t) { n = 0; }, [&](int64_t r) { n += x.is_valid(r); }, [&](int64_t r) { n -= x.is_valid(r); }, [&](int64_t r) { v[size_t(r)] = n; });
  return out;
}

Column frame_sums(const OrderedRows& rows, const Column& x, bool mean) { return is_float(x.type()) ? float_sums(rows, x, mean) : whole_sums(rows, x, mean); }

Column frame_variances(const OrderedRows& rows, const Column& x, bool population, bool root) {
  Floats out(rows);
  auto set = [&](int64_t r, int64_t n, const auto& variance) {
    const int64_t freedom = population ? n : n - 1;
    if (freedom < 1) out.set_null(r);
    else out.set(r, root ? std::sqrt(variance(freedom)) : variance(freedom));
  };
  Queue<Moments> queue;
  auto state = [&](int64_t r) { return x.is_valid(r) ? Moments::of(x.as_double(r)) : Moments{}; };
  bool exact = false;
  int64_t n = 0, sum = 0;
  Wide squares = 0;
  auto count = [&](int64_t r, int sign) {
    if (!exact || !x.is_valid(r)) return;
    const int64_t v = x.as_int64(r);
    n += sign, sum += sign * v, squares += Wide(sign) * v * v;
  };
  slide(
      rows, [&](int64_t first, int64_t end) { exact = all_small(x, first, end), n = 0, sum = 0, squares = 0, queue.begin(first); }, [&](int64_t r) { count(r, 1); },
      [&](int64_t r) { count(r, -1); },
      [&](int64_t r) {
        if (exact) return set(r, n, [&](int64_t freedom) { return double(Wide(n) * squares - Wide(sum) * sum) / (double(n) * double(freedom)); });
        queue.slide_to(rows.from[size_t(r)], rows.to[size_t(r)], state);
        const Moments m = queue.total();
        set(r, m.n, [&](int64_t freedom) { return m.square / double(freedom); });
      });
  return out.done();
}

std::vector<int64_t> frame_extremes(const OrderedRows& rows, const Column& x, bool largest) {
  std::vector<int64_t> best(size_t(x.size()), -1);
  std::deque<int64_t> candidates;  // rows, oldest first, none better than the one before
  slide(
      rows, [&](int64_t, int64_t) { candidates.clear(); },
      [&](int64_t r) {
        if (!x.is_valid(r)) return;
        auto beats = [&](int64_t old) { return largest ? Column::compare(x, r, x, old) > 0 : Column::compare(x, r, x, old) < 0; };
        while (!candidates.empty() && beats(candidates.back())) candidates.pop_back();
        candidates.push_back(r);
      },
      [&](int64_t r) { if (!candidates.empty() && candidates.front() == r) candidates.pop_front(); },
      [&](int64_t r) { if (!candidates.empty()) best[size_t(r)] = candidates.front(); });
  return best;
}

}  // namespace throng::op
