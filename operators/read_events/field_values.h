// Values of fields: from text to numbers, times and words. Internal to read_events.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/data/schema.h"
#include "framework/data/time.h"
#include "operators/read_events/read_events.h"

namespace throng::op {

std::optional<int64_t> parse_whole(std::string_view text);
std::optional<double> parse_number(std::string_view text);
std::optional<bool> parse_bool(std::string_view text);

/// Shortened for a message.
std::string shown(std::string_view text);

/// One value; which member holds it follows from the column's type.
struct Cell {
  bool null = false;
  int64_t whole = 0;
  double number = 0;
  std::string_view text;  ///< of the record, or of what was made of it
  std::vector<std::string> list;
};

/// Reads fields as the parameters say. Thread-safe.
class FieldValues {
 public:
  explicit FieldValues(const ReadEvents& params);

  bool is_null(std::string_view text) const { return text.size() <= longest_null_ && is_named_null(text); }
  /// Reads a value; returns "" or what is wrong.
  std::string read(const data::Field& field, std::string_view text, Cell& cell) const;

  /// The usual forms at several times the speed: false where `text` is another one, or none. The value is that of `read`.
  bool read_plain(std::string_view text, int64_t& value) const {
    const bool minus = !text.empty() && text[0] == '-';
    if (minus) text.remove_prefix(1);
    if (text.empty() || text.size() > 18) return false;
    int64_t sum = 0;
    for (char c : text) {
      if (c < '0' || c > '9') return false;
      sum = sum * 10 + (c - '0');
    }
    value = minus ? -sum : sum;
    return true;
  }
  bool read_plain(std::string_view text, int32_t& value) const {
    int64_t wide = 0;
    if (!read_plain(text, wide) || wide < INT32_MIN || wide > INT32_MAX) return false;
    value = int32_t(wide);
    return true;
  }
  bool read_plain(std::string_view text, float& value) const;
  bool read_plain(std::string_view text, double& value) const;
  bool read_plain_time(std::string_view text, int64_t& microseconds) const;

 private:
  bool is_named_null(std::string_view text) const;
  std::optional<int64_t> scaled(int64_t epoch) const;
  std::optional<int64_t> read_time(std::string_view text) const;

  const ReadEvents& params_;
  size_t longest_null_ = 0;
  bool auto_unit_;
  int64_t unit_;  // microseconds
  data::TimeZone zone_;
};

}  // namespace throng::op
