#include "operators/read_events/record_fields.h"

#include <algorithm>

namespace throng::op {

bool Fields::split(std::string_view record, char delimiter, bool quoting) {
  views_.clear();
  made_ = 0;
  for (size_t at = 0;;) {
    std::string_view field;
    if (quoting && at < record.size() && record[at] == '"') {
      if (!take_quoted(record, delimiter, at, field)) return false;
    } else {
      const size_t end = std::min(record.find(delimiter, at), record.size());
      field = record.substr(at, end - at);
      at = end;
    }
    views_.push_back(field);
    if (at == record.size()) return true;
    ++at;
  }
}

// From the opening quote at `at` to the delimiter, or the end, where it leaves `at`.
bool Fields::take_quoted(std::string_view record, char delimiter, size_t& at, std::string_view& field) {
  const size_t first = at + 1, close = record.find('"', first);
  if (close == std::string_view::npos) return false;
  if (close + 1 == record.size() || record[close + 1] == delimiter) {
    field = record.substr(first, close - first);
    at = close + 1;
    return true;
  }
  if (made_ == strings_.size()) strings_.emplace_back();
  std::string& whole = strings_[made_++];
  whole.clear();
  for (++at;;) {
    const size_t quote = record.find('"', at);
    if (quote == std::string_view::npos) return false;
    whole.append(record.substr(at, quote - at));
    at = quote + 1;
    if (at >= record.size() || record[at] != '"') break;
    whole += '"';
    ++at;
  }
  const size_t end = std::min(record.find(delimiter, at), record.size());
  whole.append(record.substr(at, end - at));
  field = whole;
  at = end;
  return true;
}

bool split_fields(std::string_view record, char delimiter, bool quoting, std::vector<std::string>& fields) {
  Fields split;
  if (!split.split(record, delimiter, quoting)) return false;
  fields.assign(split.views().begin(), split.views().end());
  return true;
}

}  // namespace throng::op
