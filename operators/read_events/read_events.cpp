#include "operators/read_events/read_events.h"

#include <mutex>
#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/time.h"
#include "framework/text/unicode.h"
#include "framework/graph/registry.h"
#include "operators/read_events/input_files.h"
#include "operators/read_events/record_fields.h"
#include "operators/read_events/record_reader.h"

namespace throng::op {
namespace {

using data::TextWindow;
using nlohmann::json;

constexpr size_t kSampleRecords = 1000;
constexpr size_t kSampledFiles = 16;
constexpr int64_t kBatchRows = 16384;
constexpr uint64_t kBlockBytes = 256 << 10;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string ending(std::string path) {
  for (const char* packed : {".gz", ".zst"})
    if (path.ends_with(packed)) path = path.substr(0, path.size() - std::strlen(packed));
  for (const char* e : {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab"})
    if (path.ends_with(e)) return e + 1;
  return "";
}

class ReadEventsOperator : public graph::SourceOperator {
 public:
  explicit ReadEventsOperator(ReadEvents params) : params_(std::move(params)) {}

  std::string discover() override {
    if (params_.delimiter.size() > 1) throw job_error("'delimiter' is \"{}\"; expected one character", params_.delimiter);
    for (const auto& [name, value] : params_.constants)
      for (const auto& [mapped, from] : params_.map)
        if (name == mapped) throw job_error("column '{}' is both mapped and constant", name);
    if (params_.path.empty() || std::find(params_.path.begin(), params_.path.end(), "") != params_.path.end())
      throw job_error("'path' names no file");
    data::TimeZone check(params_.time_zone);
    std::string kind = params_.format;
    for (auto& pattern : params_.path)
      if (!base_folder.empty() && std::filesystem::path(pattern).is_relative()) pattern = (base_folder / pattern).lexically_normal().string();
    auto first = find_files(params_.path, false);
    if (kind == "auto") kind = guess_kind(first[0].path);
    bool json_lines = kind == "jsonl", quoting = kind == "csv";
    char delimiter = !params_.delimiter.empty() ? params_.delimiter[0] : kind == "tsv" ? '\t' : ',';
    files_ = quoting ? find_files(params_.path, true) : std::move(first);

    json packed_files = json::array();
    for (const auto& f : files_)
      packed_files.push_back({{"path", f.path}, {"bytes", f.bytes}, {"compressed", f.compressed}, {"identity", f.identity}, {"parity", f.quote_parity}});
    std::vector<std::string> sample;
    uint64_t sample_bytes = 0;
    const bool has_header = !json_lines && params_.columns.empty();
    std::string header_of;
    std::vector<std::string> header, first_header;
    for (size_t f = 0; f < (has_header ? files_.size() : std::min(files_.size(), kSampledFiles)); ++f) {
      auto part = sample_records(files_[f].path, quoting, f < kSampledFiles ? kSampleRecords : 1);
      if (part.empty()) continue;
      if (has_header && !sample.empty()) {
        split_fields(part[0], delimiter, quoting, header);
        if (header != first_header) throw data_error("{}: its header differs from that of {}", files_[f].path, header_of);
        part.erase(part.begin());
      }
      if (has_header && sample.empty()) {
        if (part.size() == 1 && part[0].find('\r') != std::string::npos)
          throw data_error("{}: its lines end with a carriage return alone", files_[f].path).with_hint("convert it first: tr '\\r' '\\n' < old > new");
        split_fields(part[0], delimiter, quoting, first_header);
        header_of = files_[f].path;
      }
      for (auto& line : part) sample_bytes += line.size() + 1, sample.push_back(std::move(line));
    }
    RecordFormat format;
    try {
      format = guess_format(params_, json_lines, quoting, delimiter, sample);
    } catch (Error& e) {
      e.prefix(files_[0].path + ": ");
      throw;
    }
    json columns = json::array();
    for (const auto& c : format.columns)
      columns.push_back({c.field.name, data::type_name(c.field.type), c.field.time_zone, c.from, c.index, c.is_constant, c.constant});
    return json{{"files", packed_files},
                {"json", format.json},
                {"quoting", format.quoting},
                {"header", format.has_header},
                {"delimiter", std::string(1, format.delimiter)},
                {"num_fields", format.num_fields},
                {"record_bytes", sample.empty() ? 1.0 : double(sample_bytes) / double(sample.size())},
                {"columns", columns}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
  }

  void adopt(const std::string& discovered) override {
    json j = json::parse(discovered);
    files_.clear();
    std::string identity;
    for (const auto& f : j.at("files")) {
      files_.push_back({f.at("path"), f.at("bytes"), f.at("compressed"), f.at("identity"), f.at("parity")});
      identity += files_.back().identity + ";";
    }
    format_ = RecordFormat();
    format_.json = j.at("json"), format_.quoting = j.at("quoting"), format_.has_header = j.at("header");
    format_.delimiter = j.at("delimiter").get<std::string>()[0];
    format_.num_fields = j.at("num_fields");
    for (const auto& c : j.at("columns")) {
      ColumnSource source;
      source.field = {c.at(0), *data::type_from_name(c.at(1).get<std::string>()), c.at(2)};
      source.from = c.at(3), source.index = c.at(4), source.is_constant = c.at(5), source.constant = c.at(6);
      format_.columns.push_back(std::move(source));
    }
    record_bytes_ = j.at("record_bytes");
    fingerprint_ = hash128_hex(identity + j.at("columns").dump());
    ranges_ = cut_files(files_, params_.partitions);
  }

  data::Schema bind(const std::vector<data::Schema>&) override {
    data::Schema schema;
    for (const auto& c : format_.columns) schema.add(c.field);
    return schema;
  }

  int64_t num_partitions() const override { return int64_t(ranges_.size()); }
  std::string fingerprint() const override { return fingerprint_; }
  bool sequential() const override {
    return std::any_of(files_.begin(), files_.end(), [](const auto& f) { return f.compressed; });
  }
  int64_t estimated_rows() const override {
    uint64_t bytes = 0;
    for (const auto& f : files_) bytes += f.bytes;
    return int64_t(double(bytes) / record_bytes_);
  }

  void read(int64_t partition, const graph::Names& columns, const std::function<void(data::Batch)>& emit) override {
    const FileRange& range = ranges_.at(size_t(partition));
    const InputFile& file = files_[range.file];
    std::unique_ptr<TextWindow> own;
    TextWindow* window;
    // The byte before the range tells whether a record begins right at its start.
    const uint64_t open_at = range.begin == 0 ? 0 : range.begin - 1;
    if (file.compressed) {
      // One window per rank moves forwards through the file: partitions come in ascending order.
      if (!shared_window_ || shared_file_ != range.file || shared_window_->begin() > open_at) {
        shared_window_ = std::make_unique<TextWindow>(file.path, open_at);
        shared_file_ = range.file;
      }
      shared_window_->discard_before(open_at);
      window = shared_window_.get();
    } else {
      own = std::make_unique<TextWindow>(file.path, open_at);
      window = own.get();
    }
    window->ensure(range.end + 1);

    uint64_t at = range.begin;
    if (at == 0) {
      if (window->from(0).starts_with(kByteOrderMark)) at = kByteOrderMark.size();
      if (format_.has_header) at = record_end(*window, at, format_.quoting);
    } else if (window->begin() <= open_at && window->end() > open_at && (window->from(open_at)[0] != '\n' || range.inside_quotes)) {
      at = record_end(*window, at, format_.quoting, range.inside_quotes);
    }

    RecordReader reader(params_, format_, columns);
    BadRows bad(*this, partition, file.path);
    auto give = [&] {
      counters().add("rows_read", reader.num_rows());
      if (reader.num_rows() > 0) emit(reader.take());
    };
    while (at < range.end) {
      if (reader.reads_blocks()) {
        const std::string_view text = window->from(at).substr(0, std::min<uint64_t>(kBlockBytes, range.end - at));
        const size_t whole = reader.add_whole(text, [&](size_t i, std::string_view record, const std::string& fault) { bad.add(at + i, fault, record); });
        if (reader.num_rows() >= kBatchRows) give();
        at += whole;
        if (whole > 0) continue;
      }
      // A record that is longer, or ends beyond the range.
      uint64_t end = record_end(*window, at, format_.quoting);
      std::string_view record = without_line_break(window->from(at).substr(0, end - at));
      if (!record.empty()) {
        std::string fault = reader.add(record);
        if (!fault.empty()) bad.add(at, fault, record);
      }
      at = end;
      if (reader.num_rows() >= kBatchRows) give();
    }
    give();
    bad.finish();
  }

 private:
  // What becomes of rows that cannot be read.
  class BadRows {
   public:
    BadRows(const ReadEventsOperator& op, int64_t partition, std::string path) : op_(op), partition_(partition), path_(std::move(path)) {}
    void add(uint64_t offset, const std::string& fault, std::string_view record) {
      const auto& policy = op_.params_.on_bad_row;
      if (policy == "fail") {
        std::string hint = fault.starts_with("not valid UTF-8") ? "name the file's encoding, for example encoding: gb18030, or set on_bad_row: skip"
                                                                : "'on_bad_row: skip' drops such rows and counts them";
        throw data_error("{}:{}: {}", path_, line_of(offset), fault).with_hint(hint).at(-1, partition_, int64_t(offset));
      }
      ++count_;
      if (op_.counters().wants_example("rows_bad", partition_, int64_t(offset)))
        op_.counters().add_example("rows_bad", {partition_, int64_t(offset), std::string(record.substr(0, graph::Counters::kExampleBytes + 4)), fmt::format("{}, byte {}: {}", path_, offset, fault)});
      if (policy == "quarantine")
        kept_ += json{{"file", path_}, {"line", line_of(offset)}, {"reason", fault}, {"text", std::string(record)}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }
    void finish() {
      op_.counters().add("rows_bad", count_);
      if (kept_.empty()) return;
      make_folder(op_.folder);
      write_file_atomically(op_.folder / fmt::format("quarantine-{:05}.jsonl", partition_), kept_);
    }

   private:
    // Lines are counted only when somebody asks: from the start of the file, or from the last asked place.
    int64_t line_of(uint64_t offset) {
      if (!counter_) counter_ = std::make_unique<TextWindow>(path_, 0);
      while (counted_ < offset) {
        counter_->ensure(std::min<uint64_t>(offset, counted_ + (1 << 20)));
        auto piece = counter_->from(counted_).substr(0, offset - counted_);
        if (piece.empty()) break;
        line_ += std::count(piece.begin(), piece.end(), '\n');
        counted_ += piece.size();
        counter_->discard_before(counted_);
      }
      return line_;
    }
    const ReadEventsOperator& op_;
    int64_t partition_;
    std::string path_;
    std::string kept_;
    int64_t count_ = 0, line_ = 1;
    uint64_t counted_ = 0;
    std::unique_ptr<TextWindow> counter_;
  };

  static std::string guess_kind(const std::string& path) {
    std::string e = ending(path);
    if (e == "jsonl" || e == "ndjson" || e == "json") return "jsonl";
    if (e == "csv" || e == "tsv") return e;
    if (e == "tab") return "tsv";
    TextWindow window(path, 0);
    window.ensure(4096);
    std::string_view text = window.from(0);
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(3);
    std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with("{")) return "jsonl";
    return line.find('\t') != std::string_view::npos ? "tsv" : "csv";
  }

  std::vector<std::string> sample_records(const std::string& path, bool quoting, size_t limit) const {
    TextWindow window(path, 0);
    window.ensure(kByteOrderMark.size());
    std::vector<std::string> records;
    std::optional<text::Decoder> decoder;
    std::string name = text::to_lower(params_.encoding), decoded;
    if (name != "utf-8" && name != "utf8") decoder.emplace(params_.encoding);
    uint64_t at = window.from(0).starts_with(kByteOrderMark) ? 3 : 0;
    while (records.size() < limit) {
      uint64_t end = record_end(window, at, quoting);
      if (end == at) break;
      auto record = without_line_break(window.from(at).substr(0, end - at));
      if (decoder && decoder->decode(record, decoded)) record = decoded;
      if (!record.empty()) records.emplace_back(record);
      at = end;
      window.discard_before(at);
    }
    return records;
  }

  ReadEvents params_;
  std::vector<InputFile> files_;
  std::vector<FileRange> ranges_;
  RecordFormat format_;
  std::string fingerprint_;
  double record_bytes_ = 1;
  std::unique_ptr<TextWindow> shared_window_;
  size_t shared_file_ = 0;
};

}  // namespace
}  // namespace throng::op

void register_read_events(throng::graph::Registry& registry) { registry.add<throng::op::ReadEvents, throng::op::ReadEventsOperator>(); }
