// Tokens that users show: random, and kept only as their hash.
#pragma once
#include <string>

namespace throng::service {

/// 256 random bits, as 64 hexadecimal digits.
std::string random_token();
/// SHA-256 in hexadecimal. Tokens are random and long, so that a slow hash would protect nothing.
std::string hash_of_token(const std::string& token);

}  // namespace throng::service
