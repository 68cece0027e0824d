#include "raft/store/wal_check.h"

#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"

namespace catamaran::raft {
namespace {

constexpr size_t kBlockBytes = 32'768;
constexpr size_t kHeaderBytes = 7;
constexpr size_t kRecordHeaderBytes = 12;  // sequence and count
constexpr uint32_t kCrcMaskDelta = 0xa282ead8;
// Further ahead than a log can be: what looks like such a record isn't one.
constexpr uint64_t kSequencesAheadMax = uint64_t{1} << 32;

enum FragmentType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

template <class T>
T LoadLittleEndian(const char* at) {
  T value = 0;
  for (size_t i = sizeof(T); i > 0; --i) {
    value = static_cast<T>((value << 8) | static_cast<uint8_t>(at[i - 1]));
  }
  return value;
}

uint32_t MaskCrc(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + kCrcMaskDelta; }

struct Fragment {
  uint8_t type = 0;
  std::string_view payload;
  size_t end = 0;  // in the file
};

// The fragment at `at`, if its header is plausible; its CRC isn't looked at.
std::optional<Fragment> PlausibleFragment(std::string_view file, size_t at) {
  const size_t block_left = kBlockBytes - at % kBlockBytes;
  if (block_left < kHeaderBytes || file.size() - at < kHeaderBytes) return std::nullopt;
  const auto length = LoadLittleEndian<uint16_t>(file.data() + at + 4);
  const auto type = static_cast<uint8_t>(file[at + 6]);
  if (type < kFull || type > kLast || kHeaderBytes + length > block_left ||
      kHeaderBytes + length > file.size() - at) {
    return std::nullopt;
  }
  return Fragment{type, file.substr(at + kHeaderBytes, length), at + kHeaderBytes + length};
}

bool CrcHolds(std::string_view file, size_t at, const Fragment& fragment) {
  const auto crc = LoadLittleEndian<uint32_t>(file.data() + at);
  return crc == MaskCrc(Crc32c(file.substr(at + 6, 1 + fragment.payload.size())));
}

// Reads a file's records in order up to the first place where none begins.
class RecordReader {
 public:
  explicit RecordReader(std::string_view file) : file_(file) {}

  struct Record {
    uint64_t sequence = 0;
    uint32_t count = 0;
  };
  // nullopt at the end, or where the next record doesn't hold: then bad() says where that shows.
  std::optional<Record> Next() {
    std::string head;  // the record's first bytes, which may lie in more than one fragment
    bool inside = false;
    while (true) {
      SkipTrailer();
      if (at_ == file_.size()) {
        if (inside) bad_ = at_;
        return std::nullopt;
      }
      const std::optional<Fragment> fragment = PlausibleFragment(file_, at_);
      const bool begins =
          fragment.has_value() && (fragment->type == kFull || fragment->type == kFirst);
      if (!fragment.has_value() || begins == inside || !CrcHolds(file_, at_, *fragment)) {
        bad_ = at_;
        return std::nullopt;
      }
      at_ = fragment->end;
      head += fragment->payload.substr(
          0, kRecordHeaderBytes - std::min(head.size(), kRecordHeaderBytes));
      inside = true;
      if (fragment->type != kFull && fragment->type != kLast) continue;
      if (head.size() < kRecordHeaderBytes) {
        bad_ = at_;
        return std::nullopt;
      }
      return Record{LoadLittleEndian<uint64_t>(head.data()),
                    LoadLittleEndian<uint32_t>(head.data() + 8)};
    }
  }
  std::optional<size_t> bad() const { return bad_; }

 private:
  // A block's last bytes are empty when no header fits.
  void SkipTrailer() {
    const size_t block_left = kBlockBytes - at_ % kBlockBytes;
    if (block_left < kHeaderBytes) at_ = std::min(file_.size(), at_ + block_left);
  }

  const std::string_view file_;
  size_t at_ = 0;
  std::optional<size_t> bad_;
};

// Where after `bad` a record begins that was written later than the one which doesn't hold there.
std::optional<size_t> LaterRecord(std::string_view file, size_t bad, uint64_t expected) {
  for (size_t at = bad + 1; at < file.size(); ++at) {
    const std::optional<Fragment> fragment = PlausibleFragment(file, at);
    if (!fragment.has_value() || fragment->type > kFirst ||
        fragment->payload.size() < kRecordHeaderBytes) {
      continue;
    }
    const auto sequence = LoadLittleEndian<uint64_t>(fragment->payload.data());
    if (sequence < expected || sequence - expected > kSequencesAheadMax) continue;
    if (CrcHolds(file, at, *fragment)) return at;
  }
  return std::nullopt;
}

}  // namespace

WalVerdict CheckWal(const std::vector<WalFile>& files) {
  WalVerdict verdict;
  std::optional<uint64_t> expected;
  for (const WalFile& file : files) {
    RecordReader reader(file.bytes);
    while (const std::optional<RecordReader::Record> record = reader.Next()) {
      // RocksDB marks a recovery with a record that is empty.
      if (record->count == 0) continue;
      if (expected.has_value() && record->sequence != *expected) {
        verdict.corrupt = true;
        verdict.what = absl::StrCat("write-ahead log ", file.number, " goes on with sequence ",
                                    record->sequence, " where ", *expected, " comes next");
        return verdict;
      }
      expected = record->sequence + record->count;
      verdict.last_sequence = *expected - 1;
    }
    if (!reader.bad().has_value()) continue;
    const bool only_zeroes = file.bytes.find_first_not_of('\0', *reader.bad()) == std::string::npos;
    if (only_zeroes) continue;
    verdict.torn = true;
    const std::optional<size_t> later =
        LaterRecord(file.bytes, *reader.bad(), expected.value_or(0));
    if (later.has_value()) {
      verdict.corrupt = true;
      verdict.what = absl::StrCat("write-ahead log ", file.number, " doesn't hold at byte ",
                                  *reader.bad(), ", but a later write stands at byte ", *later);
      return verdict;
    }
  }
  return verdict;
}

}  // namespace catamaran::raft
