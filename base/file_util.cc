// Helpers over the FileSystem interface, the same for the real one and for its twin.
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/file_system.h"

namespace catamaran {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

absl::Status InvalidPath(const std::string& path, std::string_view why) {
  return MakeError(Reason::kInvalidArgument,
                   absl::StrCat("The path \"", path, "\" isn't valid: ", std::string(why),
                                ". Use a relative path like \"a/b.log\"."),
                   {{"path", path}});
}

}  // namespace

std::string ParentDirectory(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

absl::Status ValidatePath(const std::string& path) {
  if (path.size() > kPathBytesMax) return InvalidPath(path, "it is too long");
  if (path.find('\0') != std::string::npos) return InvalidPath(path, "it contains a NUL");
  for (size_t at = 0; at <= path.size();) {
    size_t slash = path.find('/', at);
    if (slash == std::string::npos) slash = path.size();
    std::string_view name = std::string_view(path).substr(at, slash - at);
    if (name.empty()) return InvalidPath(path, "a name in it is empty");
    if (name == "." || name == "..") return InvalidPath(path, "it leaves its directory");
    if (name.size() > kPathNameBytesMax) return InvalidPath(path, "a name in it is too long");
    at = slash + 1;
  }
  return absl::OkStatus();
}

absl::Status DirectoryInUseError(const std::string& path) {
  return MakeError(Reason::kDirectoryInUse,
                   absl::StrCat("The lock file \"", path,
                                "\" is held by a running process; stop that one first, or use "
                                "another data directory."),
                   {{"path", path}});
}

absl::StatusOr<std::string> ReadWholeFile(FileSystem& fs, const std::string& path,
                                          uint64_t size_limit) {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, fs.Open(path, OpenMode::kRead));
  CATAMARAN_ASSIGN_OR_RETURN(uint64_t size, file->Size());
  if (size > size_limit) {
    return MakeError(Reason::kLimitExceeded,
                     absl::StrCat("The file \"", path, "\" has ", size, " bytes, more than the ",
                                  size_limit, " that it may have; restore it from a good copy."),
                     {{"path", path}, {"size", absl::StrCat(size)}});
  }
  std::string content(size, '\0');
  CATAMARAN_ASSIGN_OR_RETURN(size_t got, file->ReadAt(0, content.data(), content.size()));
  content.resize(got);
  return content;
}

absl::Status WriteFileAtomically(FileSystem& fs, const std::string& path,
                                 std::string_view content) {
  std::string temporary = absl::StrCat(path, std::string(kTemporarySuffix));
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, fs.Open(temporary, OpenMode::kCreate));
  // A crash may have left one behind.
  CATAMARAN_RETURN_IF_ERROR(file->Truncate(0));
  CATAMARAN_RETURN_IF_ERROR(file->WriteAt(0, content));
  CATAMARAN_RETURN_IF_ERROR(file->SyncData());
  CATAMARAN_RETURN_IF_ERROR(fs.Rename(temporary, path));
  return fs.SyncDirectory(ParentDirectory(path));
}

}  // namespace catamaran
