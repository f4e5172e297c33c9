#include "operators/write/write.h"

#include <fstream>

#include "framework/base/files.h"
#include "framework/data/dataset_export.h"
#include "framework/data/row_text.h"
#include "framework/data/text_input.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

namespace fs = std::filesystem;
using data::Type;

class WriteOperator : public graph::CollectiveOperator {
 public:
  explicit WriteOperator(Write params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>&) override {
    format_ = params_.format;
    if (params_.path.empty()) throw job_error("'path' is empty");
    std::string path = params_.path;
    for (const char* packed : {".gz", ".zst"})
      if (path.ends_with(packed)) path = path.substr(0, path.size() - std::string_view(packed).size());
    std::string ending = fs::path(path).extension().string();
    if (format_ == "auto") format_ = ending == ".csv" || ending == ".jsonl" || ending == ".h5" ? ending.substr(1) : "dataset";
    if (path != params_.path && format_ != "csv" && format_ != "jsonl") throw job_error("'path' is '{}'; only .csv and .jsonl are compressed", params_.path);
    if (params_.compression != "none" && format_ != "dataset") throw job_error("'compression' is of a dataset; 'path' is '{}'", params_.path).with_hint("a file is compressed by its ending: .csv.gz, .jsonl.zst");
    return schema();
  }
  bool writes_outside() const override { return true; }
  bool uses_mpi() const override { return format_ == "h5"; }
  std::vector<fs::path> targets() const override { return {params_.path}; }
  bool results_there(const fs::path& run) const override { return fs::exists(target(run)); }

  void run(graph::CollectiveContext& context) override {
    const fs::path to = target(context.folder().parent_path().parent_path().parent_path());
    auto& comm = context.comm();
    if (comm.rank() == 0) {
      if (to.has_parent_path()) make_folder(to.parent_path());
      if (format_ != "dataset" && fs::is_directory(to)) throw job_error("{}: is a folder", to.string());
    }
    comm.barrier();
    const data::DatasetReader reader(context.input_dataset(0));
    const bool gzip = params_.compression == "gzip";
    if (format_ == "dataset" && gzip) {
      data::store_dataset(reader, to, comm, {.gzip_level = int(params_.level), .pool = &context.pool()});
    } else if (format_ == "dataset") {
      if (comm.rank() == 0) data::copy_dataset(reader.folder(), to);
    } else if (format_ == "h5") {
      const fs::path partial = beside(to, "");
      data::write_single_file(reader, comm, partial);
      if (comm.rank() == 0) finish(partial, to);
    } else {
      write_text(context, to);
    }
    auto& output = context.output("", schema(), 1);
    if (comm.rank() != 0) return;
    data::Column path(Type::kString), format(Type::kString), rows(Type::kInt64), bytes(Type::kInt64);
    path.append_string(to.string()), format.append_string(format_), rows.append(reader.manifest().num_rows());
    bytes.append(gzip ? bytes_of_folder(to) : format_ == "dataset" ? int64_t(reader.manifest().num_bytes()) : int64_t(fs::file_size(to)));
    std::vector<data::Column> columns;
    for (auto* c : {&path, &format, &rows, &bytes}) columns.push_back(std::move(*c));
    output.write(0, data::Batch(schema(), std::move(columns)));
  }

 private:
  static data::Schema schema() { return {{"path", Type::kString}, {"format", Type::kString}, {"rows", Type::kInt64}, {"bytes", Type::kInt64}}; }
  fs::path target(const fs::path& run) const {
    fs::path p = (run / params_.path).lexically_normal();
    return p.has_filename() ? p : p.parent_path();
  }
  static int64_t bytes_of_folder(const fs::path& folder) {
    int64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(folder)) bytes += int64_t(entry.file_size());
    return bytes;
  }
  static fs::path beside(const fs::path& to, const std::string& part) { return to.parent_path() / fmt::format(".partial{}-{}", part, to.filename().string()); }
  static void finish(const fs::path& partial, const fs::path& to) {
    fsync_path(partial);
    std::error_code code;
    fs::rename(partial, to, code);
    if (code) throw system_error("{}: cannot be written: {}", to.string(), code.message());
  }

  // Each rank writes its rows to a file of its own; rank 0 puts them one after the other. That also holds for gzip and zstd, whose
  // files may consist of several parts.
  void write_text(graph::CollectiveContext& context, const fs::path& to) const {
    auto& comm = context.comm();
    const bool csv = format_ == "csv";
    const fs::path mine = beside(to, std::to_string(comm.rank()));
    try {
      data::TextOutput out(mine);
      if (csv && comm.rank() == 0) out.write(data::header_as_csv(context.input_schema(0)) + "\n");
      const int64_t group = context.pool().num_threads(), end = context.end_owned(0);
      for (int64_t at = context.first_owned(0); at < end; at += group) {
        std::vector<std::string> texts(static_cast<size_t>(std::min(group, end - at)));
        context.pool().parallel_for(texts.size(), [&](size_t i) {
          data::Batch batch = context.read(0, at + int64_t(i));
          for (int64_t r = 0; r < batch.num_rows(); ++r) texts[i] += (csv ? data::row_as_csv(batch, r) : data::row_as_json(batch, r)) + "\n";
        });
        for (const auto& text : texts) out.write(text);
        context.progress(double(at + int64_t(texts.size()) - context.first_owned(0)) / double(std::max<int64_t>(1, end - context.first_owned(0))), "");
      }
      out.close();
      comm.barrier();
      if (comm.rank() == 0) {
        for (int r = 1; r < comm.size(); ++r) append_file(mine, beside(to, std::to_string(r)));
        finish(mine, to);
      }
      comm.barrier();  // a rank that fails before this one ends takes its own part away
    } catch (...) {
      std::error_code ignored;
      fs::remove(mine, ignored);
      throw;
    }
  }
  static void append_file(const fs::path& to, const fs::path& from) {
    std::ofstream out(to, std::ios::binary | std::ios::app);
    std::ifstream in(from, std::ios::binary);
    if (!in) throw system_error("{}: what another rank wrote cannot be read here", from.string()).with_hint("all ranks must see the folder of 'path'");
    std::vector<char> block(size_t{1} << 20);
    while (in.read(block.data(), std::streamsize(block.size())) || in.gcount() > 0) out.write(block.data(), in.gcount());
    out.flush();
    if (!out || in.bad()) throw system_error("{}: cannot be written", to.string()).with_hint("is the disk full?");
    std::error_code ignored;
    fs::remove(from, ignored);
  }

  Write params_;
  std::string format_;
};

}  // namespace
}  // namespace throng::op

void register_write(throng::graph::Registry& registry) { registry.add<throng::op::Write, throng::op::WriteOperator>(); }
