#include "framework/data/dataset_export.h"

#include <functional>

#include "framework/data/dataset_layout.h"
#include "framework/data/shared_hdf5.h"

namespace throng::data {
namespace {

// One array of the file: which values a partition gives it.
struct Array {
  std::string path;
  ArrayType type;
  std::function<uint64_t(const PiecePlace&)> count;
  /// Writes the values of the column into `into`.
  std::function<void(const Column&, int64_t rows, std::vector<std::byte>& into)> values;
  uint64_t total = 0, at = 0;  // of the dataset, and where this rank's next partition begins
};

template <class T>
void store(const std::vector<T>& values, std::vector<std::byte>& into) {
  into.resize(values.size() * sizeof(T));
  std::copy_n(reinterpret_cast<const std::byte*>(values.data()), into.size(), into.data());
}

void add_arrays(const Field& f, size_t column, bool nulls, std::vector<std::pair<size_t, Array>>& arrays) {
  auto rows_of = [](const PiecePlace& p) { return uint64_t(p.num_rows); };
  auto add = [&](std::string path, ArrayType type, auto count, auto values) { arrays.push_back({column, {std::move(path), type, count, values}}); };
  add(value_path(f), value_array(f.type), [column](const PiecePlace& p) { return p.columns[column].num_values; },
      [](const Column& c, int64_t, std::vector<std::byte>& into) {
        auto bytes = c.bytes();
        into.resize(bytes.size());
        std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), into.data());
      });
  if (!is_fixed(f.type))
    add(length_path(f), ArrayType::kUInt32, rows_of, [](const Column& c, int64_t, std::vector<std::byte>& into) { store(lengths_of(c.offsets()), into); });
  if (f.type == Type::kListString)
    add(string_length_path(f), ArrayType::kUInt32, [column](const PiecePlace& p) { return p.columns[column].num_strings; },
        [](const Column& c, int64_t, std::vector<std::byte>& into) { store(lengths_of(c.string_offsets()), into); });
  if (nulls)
    add(valid_path(f), ArrayType::kUInt8, rows_of, [](const Column& c, int64_t rows, std::vector<std::byte>& into) {
      std::vector<uint8_t> valid(c.valid().begin(), c.valid().end());
      valid.resize(size_t(rows), 1);
      store(valid, into);
    });
}

}  // namespace

void write_single_file(const DatasetReader& reader, comm::Communicator& comm, const std::filesystem::path& path) {
  const Schema& schema = reader.schema();
  const auto& partitions = reader.manifest().partitions;
  std::vector<uint8_t> nulls(schema.size(), 0);
  for (const auto& partition : partitions)
    for (const auto& p : partition.pieces)
      for (size_t i = 0; i < p.columns.size(); ++i) nulls[i] |= p.columns[i].null_count > 0;
  std::vector<std::pair<size_t, Array>> arrays;
  for (size_t i = 0; i < schema.size(); ++i) add_arrays(schema[i], i, nulls[i], arrays);
  const int64_t first = first_partition(comm.rank(), comm.size(), reader.num_partitions()), end = first_partition(comm.rank() + 1, comm.size(), reader.num_partitions());
  for (auto& [column, array] : arrays)
    for (int64_t p = 0; p < reader.num_partitions(); ++p) {
      if (p == first) array.at = array.total;
      for (const auto& piece : partitions[size_t(p)].pieces) array.total += array.count(piece);
    }

  SharedHdf5File out(path, comm);
  for (const auto& [column, array] : arrays) out.make(array.path, array.type, array.total);
  for (const Field& f : schema.fields()) out.set_attribute("/" + link_name(f.name), "type", std::string(type_name(f.type)));
  // Every rank comes to as many rounds as the rank with the most partitions.
  const int64_t rounds = comm.allreduce(end - first, comm::Op::kMax);
  std::vector<std::byte> values;
  for (int64_t round = 0; round < rounds; ++round) {
    const bool mine = first + round < end;
    Batch rows;
    if (mine) rows = reader.read(first + round);
    for (auto& [column, array] : arrays) {
      values.clear();
      if (mine) array.values(rows.column(column), rows.num_rows(), values);
      const uint64_t count = values.size() / array_value_bytes(array.type);
      out.write(array.path, array.type, array.at, values.data(), count);
      array.at += count;
    }
  }
  out.close();
}

}  // namespace throng::data
