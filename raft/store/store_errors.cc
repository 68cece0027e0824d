#include "raft/store/store_errors.h"

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::raft {

absl::Status CorruptStoreError(std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   absl::StrCat("Raft's store is damaged: ", std::string(what),
                                ". This replica can't be trusted with a vote any more: keep the "
                                "directory for inspection, and start the node on an empty one, "
                                "which joins as a new replica."));
}

absl::Status StoreFullError(const std::string& path) {
  return MakeError(Reason::kStorageFull,
                   absl::StrCat("The disk of Raft's store, ", path,
                                ", is full. Free some space; the node goes on by itself then."),
                   {{"path", path}});
}

absl::Status StoreFailedError(const std::string& path, const std::string& what) {
  return MakeError(Reason::kStorageFailed,
                   absl::StrCat("Raft's store in ", path, " failed: ", what,
                                ". Check the disk, then restart the node."),
                   {{"path", path}});
}

}  // namespace catamaran::raft
