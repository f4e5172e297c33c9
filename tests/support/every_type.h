// One column of every type, five rows each, row 2 null where nulls are wanted: for tests that must not forget a type.
#pragma once
#include <vector>

#include "framework/data/batch.h"
#include "tests/support/batches.h"

namespace throng::testing {

struct EveryType {
  data::Schema schema;
  std::vector<data::Column> columns_with_nulls;
  std::vector<data::Column> columns;
  data::Batch batch(bool nulls = true) const { return data::Batch(schema, nulls ? columns_with_nulls : columns); }
};

inline const EveryType& every_type() {
  static const EveryType all = [] {
    using data::Type;
    EveryType e;
    for (bool nulls : {true, false})
      for (size_t t = 0; t <= size_t(Type::kListString); ++t) {
        Type type = Type(t);
        data::Column c(type);
        for (int r = 0; r < 5; ++r) {
          if (nulls && r == 2) {
            c.append_null();
            continue;
          }
          switch (type) {
            case Type::kBool: c.append(uint8_t(r % 2)); break;
            case Type::kInt32: c.append(int32_t(r * 7 - 9)); break;
            case Type::kInt64: c.append((int64_t{1} << 60) * r - 5); break;
            case Type::kTimestamp: c.append(int64_t{1'700'000'000'000'000} + r); break;
            case Type::kFloat32: c.append(float(r) * 0.1f - 1e-20f); break;
            case Type::kFloat64: c.append(double(r) * 1e199 - 1e200); break;
            case Type::kString: c.append_string(r == 1 ? "" : std::string(size_t(r), 'x') + "中"); break;
            case Type::kListInt32: {
              std::vector<int32_t> v(size_t(r == 1 ? 0 : r + 1), r - 2);
              c.append_list(std::span<const int32_t>(v));
              break;
            }
            case Type::kListFloat32: {
              std::vector<float> v(size_t(r == 1 ? 0 : r + 1), float(r) / 3);
              c.append_list(std::span<const float>(v));
              break;
            }
            case Type::kListString:
              for (int k = 0; k < (r == 1 ? 0 : r + 1); ++k) c.add_list_string(k == 1 ? "" : std::string(size_t(k), 'w') + "é");
              c.end_list();
              break;
          }
        }
        (nulls ? e.columns_with_nulls : e.columns).push_back(std::move(c));
        std::string name = "c" + std::to_string(t);
        if (nulls) e.schema.add({name, type, type == Type::kTimestamp ? "Asia/Shanghai" : ""});
      }
    return e;
  }();
  return all;
}

/// Equal in type, rows, nulls and values.
inline bool same(const data::Column& a, const data::Column& b) {
  if (a.type() != b.type() || a.size() != b.size() || a.content_hash() != b.content_hash()) return false;
  for (int64_t r = 0; r < a.size(); ++r)
    if (a.is_valid(r) != b.is_valid(r) || data::Column::compare(a, r, b, r) != 0) return false;
  return true;
}
inline bool same(const data::Batch& a, const data::Batch& b) {
  if (!(a.schema() == b.schema()) || a.num_rows() != b.num_rows()) return false;
  for (size_t i = 0; i < a.num_columns(); ++i)
    if (!same(a.column(i), b.column(i))) return false;
  return true;
}

}  // namespace throng::testing
