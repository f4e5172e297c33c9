// The fields of a CSV or TSV record. Internal to read_events.
#pragma once
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace throng::op {

/// The fields of one record, as views of it; what had to be put together otherwise is kept here until the next.
class Fields {
 public:
  /// False when a quote is not closed.
  bool split(std::string_view record, char delimiter, bool quoting);
  const std::vector<std::string_view>& views() const { return views_; }

 private:
  bool take_quoted(std::string_view record, char delimiter, size_t& at, std::string_view& field);

  std::vector<std::string_view> views_;
  std::deque<std::string> strings_;
  size_t made_ = 0;
};

/// Splits one CSV or TSV record (without its line break) into fields; false when a quote is not closed.
bool split_fields(std::string_view record, char delimiter, bool quoting, std::vector<std::string>& fields);

}  // namespace throng::op
