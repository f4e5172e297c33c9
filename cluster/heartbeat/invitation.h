// What a rank must know to send rank 0 its signs of life.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace throng::heartbeat {

struct Invitation {
  std::string host;                    ///< rank 0's
  std::vector<std::string> addresses;  ///< of rank 0's interfaces, numeric
  uint16_t port = 0;
  /// What a rank says first, and what rank 0 answers: keeps off strangers and rank 0s of other jobs, not who listens in.
  std::string cookie, answer;
  double timeout_seconds = 0;  ///< rank 0's, so that all ranks go by one

  std::string pack() const;
  static Invitation unpack(const std::string& packed);
};

/// Addresses of this host's interfaces that are up, without loopback and link-local ones.
std::vector<std::string> interface_addresses();

/// 128 random bits as text.
std::string random_cookie();

}  // namespace throng::heartbeat
