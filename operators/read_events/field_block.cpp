#include "operators/read_events/field_block.h"

#include <algorithm>

namespace throng::op {

using data::Type;

FieldBlock::FieldBlock(const FieldValues& values, const std::vector<ColumnSource>& columns) : values_(values) {
  for (const auto& c : columns) {
    Column& column = columns_.emplace_back();
    column.type = c.field.type, column.index = c.is_constant ? -1 : c.index, column.constant = c.constant;
    column.needs_value = c.field.name == "ts";
    column.texts.resize(kMostRecords);
    column.null.resize(kMostRecords);
    column.values.resize(kMostRecords * data::value_bytes(column.type));
  }
  unsure_.resize(kMostRecords);
}

template <class T, class Read>
void FieldBlock::read_values(Column& column, Read read) {
  T* values = reinterpret_cast<T*>(column.values.data());
  for (size_t i = 0; i < num_records_; ++i) {
    const std::string_view text = column.texts[i];
    values[i] = T{};
    if (column.index >= 0 && values_.is_null(text)) {
      column.null[i] = 1;
      column.has_nulls = true;
    } else if (!read(text, values[i])) {
      unsure_[i] = 1;
    }
  }
}

void FieldBlock::read() {
  std::fill_n(unsure_.data(), num_records_, uint8_t{0});
  for (auto& c : columns_) {
    std::fill_n(c.null.data(), num_records_, uint8_t{0});
    c.has_nulls = false;
    auto plain = [&](std::string_view text, auto& value) { return values_.read_plain(text, value); };
    switch (c.type) {
      case Type::kBool:
        read_values<uint8_t>(c, [](std::string_view text, uint8_t& value) {
          const auto read = parse_bool(text);
          value = read.value_or(false);
          return read.has_value();
        });
        break;
      case Type::kInt32: read_values<int32_t>(c, plain); break;
      case Type::kInt64: read_values<int64_t>(c, plain); break;
      case Type::kFloat32: read_values<float>(c, plain); break;
      case Type::kFloat64: read_values<double>(c, plain); break;
      case Type::kTimestamp: read_values<int64_t>(c, [&](std::string_view text, int64_t& value) { return values_.read_plain_time(text, value); }); break;
      default:
        for (size_t i = 0; i < num_records_; ++i)
          if (c.index >= 0 && values_.is_null(c.texts[i])) c.null[i] = 1, c.has_nulls = true, c.texts[i] = {};
    }
    if (c.needs_value && c.has_nulls)
      for (size_t i = 0; i < num_records_; ++i) unsure_[i] |= c.null[i];
  }
}

void FieldBlock::append(size_t column, size_t begin, size_t end, data::Column& to) const {
  const Column& c = columns_[column];
  std::span<const uint8_t> null;
  if (c.has_nulls && std::any_of(c.null.begin() + ptrdiff_t(begin), c.null.begin() + ptrdiff_t(end), [](uint8_t n) { return n != 0; }))
    null = std::span(c.null).subspan(begin, end - begin);
  if (c.type == Type::kString) to.append_strings(std::span(c.texts).subspan(begin, end - begin), null);
  else to.append_fixed(std::span(c.values).subspan(begin * data::value_bytes(c.type), (end - begin) * data::value_bytes(c.type)), null);
}

}  // namespace throng::op
