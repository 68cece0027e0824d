// Arbitrary bytes as the keys and values of a Raft store, as a whole database, and as RocksDB's
// write-ahead log. The first byte chooses; values get a checksum that holds, so that their bodies
// are looked at.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"
#include "raft/store/kv_log_store.h"
#include "raft/store/records.h"
#include "raft/store/wal_check.h"
#include "tests/raft/store/store_values.h"

namespace catamaran::raft {
namespace {

std::string Sealed(std::string_view key, std::string_view body) {
  std::string value("\x01");
  value += body;
  AppendBigEndian<uint32_t>(&value, ExtendCrc32c(Crc32c(key), value));
  return value;
}

void CheckKeys(std::string_view key) {
  if (const auto peer = DecodePeerKey(key); peer.ok()) {
    CATAMARAN_CHECK(PeerKey(*peer) == key, "a peer's key round trips");
  }
  if (const auto index = DecodeEntryKey(key); index.ok()) {
    CATAMARAN_CHECK(EntryKey(*index) == key, "an entry's key round trips");
  }
  if (const auto place = DecodeChunkKey(key); place.ok()) {
    CATAMARAN_CHECK(ChunkKey(place->snapshot, place->position) == key, "a chunk's key round trips");
  }
  KindOfKey(key).status().IgnoreError();
}

// What is read and written again reads as the same.
void CheckValue(std::string_view key, std::string_view value) {
  const auto kind = KindOfKey(key);
  if (!kind.ok()) return;
  switch (*kind) {
    case StoreKey::kIdentity: {
      const auto read = UnsealIdentity(value);
      if (read.ok()) CATAMARAN_CHECK(SealIdentity(*read) == value, "an identity round trips");
      return;
    }
    case StoreKey::kStartCounter: {
      const auto read = UnsealStartCounter(value);
      if (read.ok()) CATAMARAN_CHECK(SealStartCounter(*read) == value, "a counter round trips");
      return;
    }
    case StoreKey::kHardState: {
      const auto read = UnsealHardState(value);
      if (read.ok()) CATAMARAN_CHECK(SealHardState(*read) == value, "a hard state round trips");
      return;
    }
    case StoreKey::kLogBase:
    case StoreKey::kLogEnd: {
      const auto read = UnsealLogPosition(*kind, value);
      if (read.ok()) CATAMARAN_CHECK(SealLogPosition(*kind, *read) == value, "a position does");
      return;
    }
    case StoreKey::kSnapshot: {
      const auto read = UnsealSnapshot(value);
      if (!read.ok()) return;
      CATAMARAN_CHECK(UnsealSnapshot(SealSnapshot(*read)).value() == *read, "a snapshot does");
      return;
    }
    case StoreKey::kUnfinishedSnapshot: {
      const auto read = UnsealUnfinishedSnapshot(value);
      if (!read.ok()) return;
      CATAMARAN_CHECK(UnsealUnfinishedSnapshot(SealUnfinishedSnapshot(*read)).value() == *read,
                      "an unfinished snapshot round trips");
      return;
    }
    case StoreKey::kPeer: {
      const auto peer = DecodePeerKey(key);
      if (peer.ok()) UnsealPeerCounter(*peer, value).status().IgnoreError();
      return;
    }
    case StoreKey::kEntry: {
      const auto index = DecodeEntryKey(key);
      if (!index.ok()) return;
      const auto read = UnsealEntry(*index, value);
      if (read.ok()) CATAMARAN_CHECK(SealEntry(*read) == value, "an entry round trips");
      return;
    }
    case StoreKey::kChunk: {
      const auto place = DecodeChunkKey(key);
      if (place.ok()) UnsealChunk(*place, value).status().IgnoreError();
      return;
    }
  }
}

class MapKv final : public Kv {
 public:
  std::map<std::string, std::string, std::less<>>& family(StoreFamily family) {
    return families_[static_cast<size_t>(family)];
  }
  absl::Status Write(const KvBatch&) override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<std::string>> Get(StoreFamily of, std::string_view key) override {
    const auto found = family(of).find(key);
    if (found == family(of).end()) return std::nullopt;
    return found->second;
  }
  absl::Status Scan(StoreFamily of, std::string_view from, const Visit& visit) override {
    for (auto at = family(of).lower_bound(from); at != family(of).end(); ++at) {
      CATAMARAN_ASSIGN_OR_RETURN(const bool more, visit(at->first, at->second));
      if (!more) break;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> FindLast(
      StoreFamily, std::string_view) override {
    return std::nullopt;
  }

 private:
  std::array<std::map<std::string, std::string, std::less<>>, kStoreFamilies> families_;
};

// (key_length:u8 key body_length:u16 body)*: inspected, and what passes starts.
void CheckDatabase(std::string_view input) {
  auto kv = std::make_unique<MapKv>();
  ByteReader reader(input);
  while (reader.ok() && reader.remaining() > 0) {
    const std::string key(reader.ReadBytes(reader.ReadBigEndian<uint8_t>()));
    const std::string_view body = reader.ReadBytes(reader.ReadBigEndian<uint16_t>());
    const auto kind = KindOfKey(key);
    const StoreFamily family = kind.ok() ? FamilyOf(*kind) : StoreFamily::kMeta;
    if (reader.ok()) kv->family(family)[key] = Sealed(key, body);
  }
  auto found = InspectStore(*kv, TestIdentity());
  if (!found.ok()) {
    CATAMARAN_CHECK(GetErrorDetail(found.status()).has_value(), "a refusal has a reason");
    return;
  }
  const OpenedStore opened = found->opened;
  const auto store = StartStore(std::move(kv), *std::move(found), TestIdentity());
  CATAMARAN_CHECK(store.ok(), "what was inspected starts");
  const LogIndex first = opened.log.first_index();
  const LogIndex end = opened.log.last().index + 1;
  CATAMARAN_CHECK((*store)->ReadEntries(first, end, 1 << 20).ok(), "what was inspected reads");
}

void RunOne(std::string_view input) {
  if (input.empty()) return;
  const char mode = input[0];
  input.remove_prefix(1);
  if (mode == 0) {
    CheckKeys(input);
  } else if (mode == 1 && !input.empty()) {
    const auto key_bytes = static_cast<uint8_t>(input[0]);
    const std::string_view key = input.substr(1, key_bytes);
    const std::string_view body = input.substr(1 + key.size());
    CheckValue(key, Sealed(key, body));
    CheckValue(key, body);
  } else if (mode == 3) {
    CheckDatabase(input);
  } else {
    const size_t half = input.size() / 2;
    CheckWal({{1, std::string(input)}});
    CheckWal({{1, std::string(input.substr(0, half))}, {2, std::string(input.substr(half))}});
  }
}

}  // namespace
}  // namespace catamaran::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::raft::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
