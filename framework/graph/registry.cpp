#include "framework/graph/registry.h"

#include <dlfcn.h>

namespace throng::graph {

void Registry::insert(OperatorInfo info) {
  std::string name = info.name;
  if (!operators_.emplace(name, std::move(info)).second) throw job_error("operator '{}' is registered twice", name);
}

const OperatorInfo* Registry::find(const std::string& name) const {
  auto it = operators_.find(name);
  return it == operators_.end() ? nullptr : &it->second;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : operators_) names.push_back(name);
  return names;
}

Registry& registry() {
  static Registry* all = [] {
    auto* r = new Registry;
    register_all_operators(*r);
    return r;
  }();
  return *all;
}

void load_plugin(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw job_error("plugin {}: cannot be loaded: {}", path, ::dlerror());
  auto* entry = reinterpret_cast<void (*)(Registry&)>(::dlsym(library, "throng_register"));
  if (!entry)
    throw job_error("plugin {}: defines no throng_register", path)
        .with_hint("add: extern \"C\" void throng_register(throng::graph::Registry& registry) { ... }");
  entry(registry());
}

}  // namespace throng::graph
