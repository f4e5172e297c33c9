#include "cluster/launch/site.h"

#include <algorithm>

namespace throng::launch {

bool Site::leaves_out(const std::string& directive) const { return std::find(leave_out.begin(), leave_out.end(), directive) != leave_out.end(); }

nlohmann::json Site::to_json() const {
  return {{"partition", partition}, {"account", account}, {"qos", qos}, {"constraint", constraint}, {"directives", directives}, {"leave_out", leave_out},
          {"modules", modules}, {"environment", environment}, {"setup", setup}, {"start", start}, {"mpi", mpi}, {"mpi_args", mpi_args}, {"requeue", requeue}};
}

Site Site::from_json(const nlohmann::json& j) {
  Site s;
  s.partition = j.at("partition"), s.account = j.at("account"), s.qos = j.at("qos"), s.constraint = j.at("constraint");
  s.directives = j.at("directives"), s.leave_out = j.at("leave_out"), s.modules = j.at("modules");
  s.environment = j.at("environment").get<decltype(s.environment)>();
  s.setup = j.at("setup"), s.start = j.at("start"), s.mpi = j.at("mpi"), s.mpi_args = j.at("mpi_args"), s.requeue = j.at("requeue");
  return s;
}

}  // namespace throng::launch
