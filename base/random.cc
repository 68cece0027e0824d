#include "base/random.h"

#include "base/check.h"

namespace catamaran {
namespace {

// Vigna's splitmix64: spreads one word over the state, which must not be all zero.
uint64_t SplitMix64(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

constexpr uint64_t RotateLeft(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = SplitMix64(&seed);
}

// Blackman and Vigna, xoshiro256**.
uint64_t Random::Next() {
  uint64_t result = RotateLeft(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = RotateLeft(state_[3], 45);
  return result;
}

// Lemire's multiplication, with rejection so that every value is equally likely.
uint64_t Random::Below(uint64_t bound) {
  CATAMARAN_CHECK(bound > 0, "Below(0) has no answer");
  auto product = static_cast<unsigned __int128>(Next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    uint64_t threshold = -bound % bound;
    while (static_cast<uint64_t>(product) < threshold) {
      product = static_cast<unsigned __int128>(Next()) * bound;
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

int64_t Random::Between(int64_t low, int64_t high) {
  CATAMARAN_CHECK(low <= high, "Between needs low <= high");
  uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  uint64_t step = span == ~uint64_t{0} ? Next() : Below(span + 1);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + step);
}

bool Random::Chance(double probability) { return Unit() < probability; }

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

Random Random::Fork() { return Random(Next()); }

}  // namespace catamaran
