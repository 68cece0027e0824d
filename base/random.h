// Chance, handed in: a small seeded generator whose sequence is the same on every machine and with
// every standard library (the std distributions are not).
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace catamaran {

// xoshiro256** seeded by splitmix64. Not for secrets. One owner; not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t Next();                             // uniform over 64 bits
  uint64_t Below(uint64_t bound);              // uniform in [0, bound); bound > 0
  int64_t Between(int64_t low, int64_t high);  // uniform in [low, high]
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool Chance(double probability);  // true with this probability
  double Unit();                    // uniform in [0, 1)
  Uuid NextUuid() {
    uint64_t high = Next();
    return Uuid::FromRandom(high, Next());
  }
  Random Fork();  // an independent generator

 private:
  uint64_t state_[4];
};

// A seed from the operating system, for the runtime only (base/random_seed.cc).
uint64_t RandomSeedFromSystem();

}  // namespace catamaran
