// A process that goes on after the command that started it has ended.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace throng::launch {

/// Leaves a process behind, `throng allocation` of the runs, and returns its id ("host:pid:start"). Its output goes to the first run's log.
std::string start_in_background(const std::vector<std::filesystem::path>& runs, const std::string& name, const std::string& program);

/// The id of this process.
std::string own_id();
/// True where the process of such an id is there; nothing where it is on another host.
std::optional<bool> is_alive(const std::string& id);
/// Sends it a signal. False where it is not there, or on another host.
bool signal_process(const std::string& id, int signal);

}  // namespace throng::launch
