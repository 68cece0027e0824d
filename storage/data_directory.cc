#include "storage/data_directory.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

constexpr std::string_view kIdentityFile = "meta.properties";
constexpr std::string_view kLockFile = ".lock";
constexpr std::string_view kChecksumKey = "checksum=";
constexpr size_t kIdentityBytesMax = 4096;
// Space that a start on a full disk has for itself: it must write the identity and some metadata
// records before anybody can read, or delete what fills the disk.
constexpr std::string_view kSpareFile = ".spare";
constexpr uint64_t kSpareBytes = 1u << 20;

std::string EncodeIdentity(const DirectoryIdentity& identity) {
  std::string text =
      Cat("version=", identity.format_version, "\n",
          "cluster.id=", identity.cluster.uuid.ToString(), "\n", "node.id=", identity.node.value(),
          "\n", "directory.id=", identity.directory.uuid.ToString(), "\n",
          "start.counter=", identity.start_counter, "\n");
  text += Cat(kChecksumKey, absl::Hex(Crc32c(text), absl::kZeroPad8), "\n");
  return text;
}

absl::Status Unreadable(std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   Cat("The data directory's identity, ", kIdentityFile, ", is unreadable: ", what,
                       " Restore the file from a backup, or begin with an empty directory "
                       "under a new node id."),
                   {{"file", std::string(kIdentityFile)}});
}

absl::StatusOr<DirectoryIdentity> DecodeIdentity(std::string_view text) {
  const size_t sum_at = text.rfind(kChecksumKey);
  std::map<std::string, std::string> values;
  for (absl::string_view line :
       absl::StrSplit(ToAbsl(text.substr(0, sum_at)), '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(line, absl::MaxSplits('=', 1));
    values.insert(pair);
  }
  DirectoryIdentity identity;
  if (!absl::SimpleAtoi(values["version"], &identity.format_version)) {
    return Unreadable("it has no version.");
  }
  // Told before the checksum is looked at: a later version may have another one.
  if (identity.format_version > kDataFormatVersion) {
    return MakeError(Reason::kUnsupportedVersion,
                     Cat("The data directory has format version ", identity.format_version,
                         " and this release reads up to ", kDataFormatVersion,
                         ". Start the release that wrote it, or a "
                         "later one."),
                     {{"found_version", Cat(identity.format_version)},
                      {"supported_version", Cat(kDataFormatVersion)}});
  }
  const std::string sum =
      Cat(kChecksumKey, absl::Hex(Crc32c(text.substr(0, sum_at)), absl::kZeroPad8), "\n");
  if (sum_at == std::string_view::npos || text.substr(sum_at) != sum) {
    return Unreadable("its checksum doesn't match.");
  }
  const auto cluster = Uuid::FromString(values["cluster.id"]);
  const auto directory = Uuid::FromString(values["directory.id"]);
  int32_t node = 0;
  if (identity.format_version < 1 || !cluster.has_value() || !directory.has_value() ||
      !absl::SimpleAtoi(values["node.id"], &node) ||
      !absl::SimpleAtoi(values["start.counter"], &identity.start_counter)) {
    return Unreadable("a value is missing or malformed.");
  }
  identity.cluster = ClusterId{*cluster};
  identity.directory = DirectoryId{*directory};
  identity.node = BrokerId(node);
  return identity;
}

absl::Status Mismatch(std::string_view what, const std::string& found,
                      const std::string& expected) {
  return MakeError(
      Reason::kDirectoryMismatch,
      Cat("The data directory belongs to ", what, " ", found, " and this broker is configured as ",
          expected, ". Point it at its own directory."),
      {{"found", found}, {"expected", expected}});
}

// What is there: nullopt in an empty directory. Only reads.
absl::StatusOr<std::optional<DirectoryIdentity>> Inspect(
    FileSystem& fs, const DataDirectory::Expectation& expected) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::vector<FileInfo> files, fs.List(""));
  bool has_identity = false;
  std::string stranger;
  for (const FileInfo& file : files) {
    if (file.name == kIdentityFile) {
      has_identity = true;
    } else if (file.name != kLockFile && file.name != "lost+found" &&
               !file.name.starts_with(kIdentityFile)) {  // a first start that was cut short
      stranger = file.name;
    }
  }
  if (!has_identity) {
    if (stranger.empty()) return std::nullopt;
    return MakeError(Reason::kDirectoryMismatch,
                     Cat("The data directory has no ", kIdentityFile, " but isn't empty (",
                         stranger, "). Use an empty directory, or restore the file."),
                     {{"found", stranger}});
  }
  const auto text = ReadWholeFile(fs, std::string(kIdentityFile), kIdentityBytesMax);
  if (ReasonOf(text.status()) == Reason::kLimitExceeded) {
    return Unreadable(Cat("it has more than ", kIdentityBytesMax, " bytes."));
  }
  CATAMARAN_RETURN_IF_ERROR(text.status());
  CATAMARAN_ASSIGN_OR_RETURN(DirectoryIdentity identity, DecodeIdentity(*text));
  if (identity.node != expected.node) {
    return Mismatch("node", Cat(identity.node.value()), Cat(expected.node.value()));
  }
  if (!expected.cluster.uuid.is_nil() && identity.cluster != expected.cluster) {
    return Mismatch("cluster", identity.cluster.uuid.ToString(), expected.cluster.uuid.ToString());
  }
  return identity;
}

// Best effort: without it only a start on a full disk fails.
void KeepSpare(FileSystem& fs) {
  const absl::StatusOr<std::shared_ptr<File>> file =
      fs.Open(std::string(kSpareFile), OpenMode::kCreate);
  if (!file.ok()) return;
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (size.ok() && *size < kSpareBytes) (*file)->Allocate(kSpareBytes).IgnoreError();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(FileSystem& fs,
                                                                   const Expectation& expected,
                                                                   Random& random) {
  // Looked at before the lock too: taking it makes a file, and a refusal writes nothing.
  CATAMARAN_RETURN_IF_ERROR(Inspect(fs, expected).status());
  auto directory = std::unique_ptr<DataDirectory>(new DataDirectory());
  CATAMARAN_ASSIGN_OR_RETURN(directory->lock_, fs.Lock(std::string(kLockFile)));
  CATAMARAN_ASSIGN_OR_RETURN(const auto found, Inspect(fs, expected));
  directory->was_empty_ = !found.has_value();
  DirectoryIdentity& identity = directory->identity_;
  if (found.has_value()) {
    identity = *found;
  } else {
    identity.node = expected.node;
    identity.cluster =
        expected.cluster.uuid.is_nil() ? ClusterId{random.NextUuid()} : expected.cluster;
    identity.directory = DirectoryId{random.NextUuid()};
  }
  identity.format_version = kDataFormatVersion;
  ++identity.start_counter;
  const std::string path(kIdentityFile);
  const std::string text = EncodeIdentity(identity);
  absl::Status written = WriteFileAtomically(fs, path, text);
  if (written.ok()) {
    KeepSpare(fs);
  } else if (ReasonOf(written) == Reason::kStorageFull && fs.Remove(std::string(kSpareFile)).ok()) {
    written = WriteFileAtomically(fs, path, text);
  }
  CATAMARAN_RETURN_IF_ERROR(written);
  return directory;
}

}  // namespace catamaran::storage
