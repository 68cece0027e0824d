#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace catamaran {

void CheckFailed(const char* file, int line, const char* condition, std::string_view message) {
  // One call and no allocation of ours: the heap may be what is broken.
  std::fprintf(stderr, "%s:%d: CHECK failed: %s: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace catamaran
