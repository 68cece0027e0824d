// Broken code stops the process, in release builds too: an invariant that doesn't hold must never
// reach the disk or a client. For expected failures use Status.
#pragma once

#include <string_view>

namespace catamaran {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message);
}  // namespace catamaran

#define CATAMARAN_CHECK(condition, message)                                \
  do {                                                                     \
    if (!(condition)) [[unlikely]] {                                       \
      ::catamaran::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                      \
  } while (false)
