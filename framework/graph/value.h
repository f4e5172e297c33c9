// A tree of parameters as it was written, with the place of every node: what YAML and the C++ API both become.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.h"

namespace throng::graph {

/// Where something stands in the user's file; empty for jobs built in C++.
struct Place {
  std::string file;
  int line = 0, column = 0;
  /// "job.yaml:5:41: ", or "" where nothing is known.
  std::string prefix() const {
    return file.empty() ? "" : line > 0 ? fmt::format("{}:{}:{}: ", file, line, column) : file + ": ";
  }
};

struct Value {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;
  Kind kind = Kind::kNull;
  std::string scalar;
  std::vector<Value> list;
  std::vector<Entry> map;
  Place place;

  static Value of(std::string scalar) {
    Value v;
    v.kind = Kind::kScalar;
    v.scalar = std::move(scalar);
    return v;
  }
  const Value* find(const std::string& key) const;
  void set(const std::string& key, Value value);
  /// Unambiguous one-line text: equal trees have equal texts.
  std::string canonical() const;
};
struct Value::Entry {
  std::string key;
  Place key_place;
  Value value;
};

/// Faults of a job file, collected so that all are reported together.
class Faults {
 public:
  void add(const Place& place, std::string message, std::string hint = "");
  void add(const Place& place, const Error& error) { add(place, error.message(), error.hint()); }
  bool empty() const { return faults_.empty(); }
  size_t size() const { return faults_.size(); }
  /// Throws one job error with every fault, in file order.
  void throw_if_any() const;

 private:
  struct One {
    Place place;
    std::string text;
  };
  std::vector<One> faults_;
};

}  // namespace throng::graph
