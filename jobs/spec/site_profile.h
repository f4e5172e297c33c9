// Site profiles: what is particular to a cluster, as YAML.
#pragma once
#include <string>

#include "cluster/launch/site.h"

namespace throng::spec {

/// Reads a profile; one job error lists all its faults.
launch::Site read_site(const std::string& path);

/// $THRONG_SITE, or the first of ~/.config/throng/site.yaml and /etc/throng/site.yaml that is there; empty where none is.
std::string default_site();

}  // namespace throng::spec
