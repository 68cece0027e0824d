#include <sys/random.h>

#include <cerrno>

#include "base/check.h"
#include "base/random.h"

namespace catamaran {

uint64_t RandomSeedFromSystem() {
  uint64_t seed = 0;
  ssize_t got = -1;
  do {
    got = getrandom(&seed, sizeof(seed), 0);
  } while (got < 0 && errno == EINTR);
  CATAMARAN_CHECK(got == sizeof(seed), "getrandom gave no bytes; every supported kernel has it");
  return seed;
}

}  // namespace catamaran
