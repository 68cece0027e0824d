// The machine's file system, confined to one directory: every path is walked from the root's
// descriptor with O_NOFOLLOW, so that neither ".." nor a symbolic link leads out.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/file_system.h"

namespace catamaran {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

// Repeats a system call that a signal interrupted.
template <class Call>
auto Retrying(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string ErrnoText(int error) {
  char buffer[128];
  // The GNU variant, which returns the text.
  return strerror_r(error, buffer, sizeof(buffer));
}

absl::Status ErrnoError(std::string_view operation, const std::string& path, int error) {
  std::string what =
      absl::StrCat("Can't ", std::string(operation), " \"", path, "\": ", ErrnoText(error));
  ErrorMetadata metadata = {{"path", path}, {"errno", absl::StrCat(error)}};
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(what);
    case EEXIST:
      return absl::AlreadyExistsError(what);
    case ENOTEMPTY:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:  // O_NOFOLLOW met a symbolic link
      return absl::FailedPreconditionError(what);
    case ENOSPC:
    case EDQUOT:
      return MakeError(Reason::kStorageFull,
                       absl::StrCat(what,
                                    ". Free some space on this disk, e.g. by lowering "
                                    "retention or deleting topics, or enlarge it."),
                       std::move(metadata));
    case EMFILE:
    case ENFILE:
      return MakeError(Reason::kLimitExceeded,
                       absl::StrCat(what,
                                    ". Raise the limit of open files (LimitNOFILE, ulimit "
                                    "-n)."),
                       std::move(metadata));
    case EACCES:
    case EPERM:
    case EROFS:
      return MakeError(Reason::kStorageFailed,
                       absl::StrCat(what,
                                    ". Let the user of this process own the data directory "
                                    "on a disk mounted for writing, then restart."),
                       std::move(metadata));
    default:
      return MakeError(Reason::kStorageFailed,
                       absl::StrCat(what,
                                    ". Check the disk and the kernel log (dmesg), then "
                                    "restart, which recovers what is durable."),
                       std::move(metadata));
  }
}

// Drops the first `done` bytes of the vector; `first` is the first part that isn't done.
void Advance(std::vector<iovec>& parts, size_t& first, size_t done) {
  while (first < parts.size() && done >= parts[first].iov_len) {
    done -= parts[first].iov_len;
    ++first;
  }
  if (done > 0) {
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + done;
    parts[first].iov_len -= done;
  }
}

class PosixFile : public File {
 public:
  PosixFile(Descriptor fd, std::string path, bool writable)
      : fd_(std::move(fd)), path_(std::move(path)), writable_(writable) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) override {
    CATAMARAN_RETURN_IF_ERROR(Writable());
    std::vector<iovec> vector;
    vector.reserve(parts.size());
    for (std::string_view part : parts) {
      if (!part.empty()) vector.push_back({const_cast<char*>(part.data()), part.size()});
    }
    for (size_t first = 0; first < vector.size();) {
      int count = static_cast<int>(std::min<size_t>(vector.size() - first, IOV_MAX));
      ssize_t done = Retrying([&] {
        return ::pwritev(fd_.get(), &vector[first], count, static_cast<off_t>(position));
      });
      if (done < 0) return ErrnoError("write", path_, errno);
      // A write of some bytes that makes no progress would go round for ever.
      if (done == 0) return ErrnoError("write", path_, EIO);
      position += static_cast<uint64_t>(done);
      Advance(vector, first, static_cast<size_t>(done));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) override {
    size_t got = 0;
    while (got < length) {
      ssize_t done = Retrying([&] {
        return ::pread(fd_.get(), into + got, length - got, static_cast<off_t>(position + got));
      });
      if (done < 0) return ErrnoError("read", path_, errno);
      if (done == 0) break;
      got += static_cast<size_t>(done);
    }
    return got;
  }

  absl::Status SyncData() override {
    // Not retried on EINTR either: what an interrupted sync left dirty is unknown (S4).
    if (::fdatasync(fd_.get()) != 0) return ErrnoError("sync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    CATAMARAN_RETURN_IF_ERROR(Writable());
    int result = Retrying([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); });
    return result == 0 ? absl::OkStatus() : ErrnoError("truncate", path_, errno);
  }

  absl::Status Allocate(uint64_t size) override {
    CATAMARAN_RETURN_IF_ERROR(Writable());
    CATAMARAN_ASSIGN_OR_RETURN(uint64_t now, Size());
    if (size <= now) return absl::OkStatus();
    int result = Retrying([&] {
      return ::fallocate(fd_.get(), 0, static_cast<off_t>(now), static_cast<off_t>(size - now));
    });
    if (result == 0 || errno == EOPNOTSUPP) return absl::OkStatus();
    return ErrnoError("reserve space for", path_, errno);
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return ErrnoError("look at", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

  void StartWriteback(uint64_t position, uint64_t length) override {
    // A hint: what goes wrong here is reported by the sync that follows.
    (void)::sync_file_range(fd_.get(), static_cast<off64_t>(position), static_cast<off64_t>(length),
                            SYNC_FILE_RANGE_WRITE);
  }

 private:
  absl::Status Writable() const {
    if (writable_) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("\"", path_, "\" is open for reading only"));
  }

  const Descriptor fd_;
  const std::string path_;
  const bool writable_;
};

class PosixLock : public DirectoryLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;  // closing it releases the flock
};

class PosixFileSystem : public FileSystem {
 public:
  PosixFileSystem(Descriptor root, std::string root_path)
      : root_(std::move(root)), root_path_(std::move(root_path)) {}

  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_RDWR;
    if (mode == OpenMode::kRead) flags = O_RDONLY;
    if (mode == OpenMode::kCreate) flags |= O_CREAT;
    if (mode == OpenMode::kCreateNew) flags |= O_CREAT | O_EXCL;
    CATAMARAN_ASSIGN_OR_RETURN(Descriptor fd, OpenFile(path, flags));
    return std::make_shared<PosixFile>(std::move(fd), path, mode != OpenMode::kRead);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    CATAMARAN_ASSIGN_OR_RETURN(Place source, FindPlace(from));
    CATAMARAN_ASSIGN_OR_RETURN(Place target, FindPlace(to));
    int result = ::renameat(source.directory.get(), source.name.c_str(), target.directory.get(),
                            target.name.c_str());
    return result == 0 ? absl::OkStatus() : NameError("rename", from, errno);
  }

  absl::Status Remove(const std::string& path) override {
    CATAMARAN_ASSIGN_OR_RETURN(Place place, FindPlace(path));
    int result = ::unlinkat(place.directory.get(), place.name.c_str(), 0);
    return result == 0 ? absl::OkStatus() : NameError("remove", path, errno);
  }

  absl::Status MakeDirectory(const std::string& path) override {
    CATAMARAN_ASSIGN_OR_RETURN(Place place, FindPlace(path));
    if (::mkdirat(place.directory.get(), place.name.c_str(), kDirectoryMode) == 0) {
      return absl::OkStatus();
    }
    if (errno != EEXIST) return ErrnoError("make the directory", path, errno);
    return OpenDirectory(path).status();  // OK if what is there is a directory
  }

  absl::Status RemoveDirectory(const std::string& path) override {
    CATAMARAN_ASSIGN_OR_RETURN(Place place, FindPlace(path));
    int result = ::unlinkat(place.directory.get(), place.name.c_str(), AT_REMOVEDIR);
    return result == 0 ? absl::OkStatus() : NameError("remove the directory", path, errno);
  }

  absl::StatusOr<std::vector<FileInfo>> List(const std::string& directory) override {
    CATAMARAN_ASSIGN_OR_RETURN(Descriptor fd, OpenDirectory(directory));
    int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);  // fdopendir takes it over
    if (copy < 0) return ErrnoError("list", directory, errno);
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), &::closedir);
    if (stream == nullptr) {
      int error = errno;
      ::close(copy);
      return ErrnoError("list", directory, error);
    }
    std::vector<FileInfo> infos;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr && errno != 0) return ErrnoError("list", directory, errno);
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat info {};
      if (::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return ErrnoError("look at", directory + "/" + name, errno);
      }
      infos.push_back(ToFileInfo(std::move(name), info));
    }
    std::sort(infos.begin(), infos.end(),
              [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
    return infos;
  }

  absl::StatusOr<FileInfo> Stat(const std::string& path) override {
    CATAMARAN_ASSIGN_OR_RETURN(Place place, FindPlace(path));
    struct stat info {};
    if (::fstatat(place.directory.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError("look at", path, errno);
    }
    return ToFileInfo(place.name, info);
  }

  absl::Status SyncDirectory(const std::string& directory) override {
    CATAMARAN_ASSIGN_OR_RETURN(Descriptor fd, OpenDirectory(directory));
    if (::fsync(fd.get()) != 0) return ErrnoError("sync the directory", directory, errno);
    return absl::OkStatus();
  }

  absl::Status SyncAll() override {
    // Reports write-back errors since Linux 5.8; before that only the metadata's.
    if (::syncfs(root_.get()) != 0) return ErrnoError("sync the file system of", root_path_, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<FreeSpace> GetFreeSpace() override {
    struct statvfs info {};
    if (Retrying([&] { return ::fstatvfs(root_.get(), &info); }) != 0) {
      return ErrnoError("read the free space of", root_path_, errno);
    }
    return FreeSpace{uint64_t{info.f_bavail} * info.f_frsize,
                     uint64_t{info.f_blocks} * info.f_frsize};
  }

  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override {
    CATAMARAN_ASSIGN_OR_RETURN(Descriptor fd, OpenFile(path, O_RDWR | O_CREAT));
    if (Retrying([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return DirectoryInUseError(root_path_ + "/" + path);
      return ErrnoError("lock", path, errno);
    }
    return std::make_unique<PosixLock>(std::move(fd));
  }

 private:
  // A name within an open directory.
  struct Place {
    Descriptor directory;
    std::string name;
  };

  static FileInfo ToFileInfo(std::string name, const struct stat& info) {
    bool is_directory = S_ISDIR(info.st_mode);
    return {std::move(name), is_directory, is_directory ? 0 : static_cast<uint64_t>(info.st_size)};
  }

  // Errors of an operation on names, where two codes say nothing about the device.
  static absl::Status NameError(std::string_view operation, const std::string& path, int error) {
    if (error == EINVAL) {
      return absl::FailedPreconditionError(absl::StrCat(
          "Can't ", std::string(operation), " \"", path, "\": a directory can't go into itself"));
    }
    return ErrnoError(operation, path, error == EEXIST ? ENOTEMPTY : error);
  }

  // The directory at a valid path or, for "", the root; opened afresh.
  absl::StatusOr<Descriptor> OpenDirectory(const std::string& path) {
    if (!path.empty()) CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Descriptor fd(Retrying([&] { return ::openat(root_.get(), ".", kFlags); }));
    for (size_t at = 0; fd.valid() && at < path.size();) {
      size_t slash = std::min(path.find('/', at), path.size());
      std::string name = path.substr(at, slash - at);
      fd = Descriptor(Retrying([&] { return ::openat(fd.get(), name.c_str(), kFlags); }));
      at = slash + 1;
    }
    if (!fd.valid()) return ErrnoError("open the directory", path, errno);
    return fd;
  }

  absl::StatusOr<Place> FindPlace(const std::string& path) {
    CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
    std::string parent = ParentDirectory(path);
    CATAMARAN_ASSIGN_OR_RETURN(Descriptor directory, OpenDirectory(parent));
    return Place{std::move(directory), path.substr(parent.empty() ? 0 : parent.size() + 1)};
  }

  absl::StatusOr<Descriptor> OpenFile(const std::string& path, int flags) {
    CATAMARAN_ASSIGN_OR_RETURN(Place place, FindPlace(path));
    // O_NONBLOCK: a FIFO that somebody put there mustn't hold up the open; no effect on files.
    Descriptor fd(Retrying([&] {
      return ::openat(place.directory.get(), place.name.c_str(),
                      flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kFileMode);
    }));
    if (!fd.valid()) return ErrnoError("open", path, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return ErrnoError("look at", path, errno);
    if (S_ISDIR(info.st_mode)) return ErrnoError("open", path, EISDIR);
    return fd;
  }

  const Descriptor root_;
  const std::string root_path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileSystem>> OpenPosixFileSystem(const std::string& root) {
  // The root itself may be a symbolic link: the operator chose it.
  Descriptor fd(Retrying([&] { return ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return ErrnoError("open the data directory", root, errno);
  return std::make_unique<PosixFileSystem>(std::move(fd), root);
}

}  // namespace catamaran
