#include "jobs/spec/yaml_job.h"

#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "framework/base/files.h"
#include "framework/base/suggest.h"

namespace throng::spec {
namespace {

using graph::Faults;
using graph::Place;
using graph::Value;

constexpr size_t kMostValues = 1000000;  // a few lines of aliases of aliases would fill the memory

class Reader {
 public:
  Reader(std::string file, Faults& faults) : file_(std::move(file)), faults_(faults) {}

  Place place(const YAML::Mark& mark) const { return {file_, mark.is_null() ? 0 : mark.line + 1, mark.is_null() ? 0 : mark.column + 1}; }

  Value value(const YAML::Node& node) {
    if (++num_values_ > kMostValues) throw job_error("{}more than {} values, counting what its aliases repeat", place(node.Mark()).prefix(), kMostValues);
    Value v;
    v.place = place(node.Mark());
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        v.kind = Value::Kind::kScalar;
        v.scalar = node.Scalar();
        break;
      case YAML::NodeType::Sequence:
        v.kind = Value::Kind::kList;
        for (const auto& item : node) v.list.push_back(value(item));
        break;
      case YAML::NodeType::Map:
        v.kind = Value::Kind::kMap;
        for (const auto& entry : node) {
          std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
          Place at = place(entry.first.Mark());
          if (v.find(key)) faults_.add(at, fmt::format("'{}' is given twice", key));
          v.map.push_back({key, at, value(entry.second)});
        }
        break;
      default: break;
    }
    return v;
  }

  graph::Job job(const Value& root) {
    graph::Job job;
    if (root.kind != Value::Kind::kMap) {
      faults_.add(root.place, "a job file is a mapping", "begin with 'job: name' and 'steps:'");
      return job;
    }
    static const std::vector<std::string> known{"job", "seed", "steps", "save", "reproduces"};
    for (const auto& e : root.map) {
      std::string expected;
      if (e.key == "job") {
        if (!graph::ParamType<std::string>::read(e.value, job.name, expected)) faults_.add(e.value.place, "'job' is not a name");
      } else if (e.key == "seed") {
        if (!graph::ParamType<uint64_t>::read(e.value, job.seed, expected)) faults_.add(e.value.place, fmt::format("'seed' is '{}'; expected {}", e.value.scalar, expected));
      } else if (e.key == "steps") {
        steps(e.value, job);
      } else if (e.key == "save") {
        save(e.value, job);
      } else if (e.key == "reproduces") {
        job.reproduces = e.value;
      } else {
        faults_.add(e.key_place, fmt::format("unknown key '{}'", e.key), suggest(e.key, known));
      }
    }
    if (!root.find("steps")) faults_.add(root.place, "the job has no 'steps:'");
    return job;
  }

 private:
  size_t num_values_ = 0;
  void steps(const Value& v, graph::Job& job) {
    if (v.kind != Value::Kind::kMap) return faults_.add(v.place, "'steps' is not a mapping of names to steps");
    for (const auto& e : v.map) {
      graph::Step step;
      step.id = e.key;
      step.place = e.key_place;
      step.params.kind = Value::Kind::kMap;
      if (e.value.kind != Value::Kind::kMap) {
        faults_.add(e.value.place, fmt::format("step '{}' is not a mapping", e.key), "write for example {op: tokenize, from: clean}");
        continue;
      }
      for (const auto& p : e.value.map) {
        if (p.key == "op") {
          step.op = p.value.scalar;
          step.op_place = p.value.place;
        } else if (p.key == "from") {
          inputs(p.value, step);
        } else {
          step.params.map.push_back(p);
        }
      }
      if (step.op.empty()) {
        faults_.add(e.key_place, fmt::format("step '{}' has no 'op:'", e.key), suggest("", graph::registry().names()));
        continue;
      }
      job.steps.push_back(std::move(step));
    }
  }
  void inputs(const Value& v, graph::Step& step) {
    if (v.kind == Value::Kind::kScalar) step.inputs.push_back(graph::Job::parse_ref(v.scalar, v.place));
    if (v.kind == Value::Kind::kList)
      for (const auto& one : v.list) step.inputs.push_back(graph::Job::parse_ref(one.scalar, one.place));
    if (step.inputs.empty()) faults_.add(v.place, fmt::format("'from' of step '{}' names no step", step.id));
  }
  void save(const Value& v, graph::Job& job) {
    if (v.kind != Value::Kind::kMap) return faults_.add(v.place, "'save' is not a mapping of steps to folders");
    for (const auto& e : v.map) {
      job.save[e.key] = e.value.scalar;
      job.save_places[e.key] = e.key_place;
      if (e.value.scalar.empty()) faults_.add(e.value.place, fmt::format("'save' of '{}' names no folder", e.key));
    }
  }

  std::string file_;
  Faults& faults_;
};

void override_one(const std::string& text, graph::Job& job, Faults& faults) {
  size_t equals = text.find('='), dot = text.find('.');
  Place place{"--set " + text, 0, 0};
  if (equals == std::string::npos) return faults.add(place, "expected step.param=value");
  Reader reader("--set " + text, faults);
  Value value;
  try {
    value = reader.value(YAML::Load(text.substr(equals + 1)));
  } catch (const YAML::Exception& e) {
    return faults.add(place, e.msg);
  }
  std::function<void(Value&)> forget_place = [&](Value& v) {
    v.place = place;
    for (auto& x : v.list) forget_place(x);
    for (auto& e : v.map) e.key_place = place, forget_place(e.value);
  };
  forget_place(value);
  std::string key = text.substr(0, equals), expected;
  if (key == "seed") {
    if (!graph::ParamType<uint64_t>::read(value, job.seed, expected)) faults.add(place, "expected " + expected);
    return;
  }
  std::vector<std::string> ids;
  for (auto& step : job.steps) {
    ids.push_back(step.id);
    if (dot >= equals || step.id != text.substr(0, dot)) continue;
    std::string name = text.substr(dot + 1, equals - dot - 1);
    for (auto& e : step.params.map)
      if (e.key == name) {
        e.value = value;
        return;
      }
    step.params.map.push_back({name, place, value});
    return;
  }
  faults.add(place, fmt::format("no step '{}'", text.substr(0, std::min(dot, equals))), suggest(text.substr(0, std::min(dot, equals)), ids));
}

}  // namespace

graph::Job parse_job(const std::string& text, const std::string& file, const std::vector<std::string>& overrides, Faults& faults) {
  Reader reader(file, faults);
  graph::Job job;
  try {
    job = reader.job(reader.value(YAML::Load(text)));
  } catch (const YAML::Exception& e) {
    faults.add(reader.place(e.mark), fmt::format("not valid YAML: {}", e.msg));
    faults.throw_if_any();
  }
  for (const auto& one : overrides) override_one(one, job, faults);
  job.text = text;
  job.overrides = overrides;
  return job;
}

graph::Value read_yaml(const std::string& path, Faults& faults) {
  if (!std::filesystem::is_regular_file(path)) throw job_error("{}: no such file", path);
  Reader reader(path, faults);
  try {
    return reader.value(YAML::Load(read_file(path)));
  } catch (const YAML::Exception& e) {
    faults.add(reader.place(e.mark), fmt::format("not valid YAML: {}", e.msg));
    return {};
  }
}

graph::Job read_job(const std::string& path, const std::vector<std::string>& overrides, Faults& faults) {
  if (!std::filesystem::exists(path)) throw job_error("{}: no such job file", path).with_hint("'throng init DATA_FILE' writes one");
  if (std::filesystem::is_directory(path)) throw job_error("{}: is a folder, not a job file", path);
  graph::Job job = parse_job(read_file(path), path, overrides, faults);
  job.folder = std::filesystem::path(path).parent_path().string();
  return job;
}

}  // namespace throng::spec
