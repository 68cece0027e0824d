// A 64-bit hash of values in a fixed order, the same on every machine and in every version: for
// state hashes and the fingerprints of requests. Not for secrets, not against an adversary.
#pragma once

#include <cstdint>
#include <string_view>

namespace catamaran::metadata {

class StableHash {
 public:
  void Add(uint64_t value) {
    // The finalizer of splitmix64 over the running state.
    uint64_t z = (state_ += value + 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    state_ = z ^ (z >> 31);
  }
  void AddSigned(int64_t value) { Add(static_cast<uint64_t>(value)); }
  // Length first, so that "a", "bc" and "ab", "c" differ.
  void AddString(std::string_view text) {
    Add(text.size());
    for (size_t at = 0; at < text.size(); at += 8) {
      uint64_t word = 0;
      for (size_t i = at; i < text.size() && i < at + 8; ++i) {
        word |= static_cast<uint64_t>(static_cast<uint8_t>(text[i])) << (8 * (i - at));
      }
      Add(word);
    }
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0;
};

}  // namespace catamaran::metadata
