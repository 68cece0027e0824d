// The errors that a store answers with, worded once.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace catamaran::raft {

// kCorruptLog: `what` says what is wrong with the store.
absl::Status CorruptStoreError(std::string_view what);
// kStorageFull and kStorageFailed of the store in the directory `path`.
absl::Status StoreFullError(const std::string& path);
absl::Status StoreFailedError(const std::string& path, const std::string& what);

}  // namespace catamaran::raft
