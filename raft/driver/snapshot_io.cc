#include "raft/driver/snapshot_io.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"

namespace catamaran::raft {
namespace {

absl::Status Begin(LogStore& store, const SnapshotMeta& meta, SnapshotSlot* slot) {
  if (slot->meta == meta) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(const uint64_t bytes, store.BeginSnapshot(meta));
  CATAMARAN_CHECK(bytes == 0, "the slot knows the store's unfinished snapshot");
  *slot = SnapshotSlot{meta, 0, 0};
  return absl::OkStatus();
}

// Writes what isn't there yet of the bytes at `offset`.
absl::Status Append(LogStore& store, uint64_t offset, std::string_view bytes, SnapshotSlot* slot) {
  if (offset > slot->bytes) {
    return MakeError(Reason::kOffsetOutOfRange,
                     "A part of a snapshot doesn't follow what is there; send what is missing.");
  }
  bytes.remove_prefix(std::min<uint64_t>(bytes.size(), slot->bytes - offset));
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kSnapshotChunkBytesMax);
    CATAMARAN_RETURN_IF_ERROR(store.AppendSnapshot(slot->meta->last, slot->bytes, piece));
    slot->bytes += piece.size();
    slot->crc32c = ExtendCrc32c(slot->crc32c, piece);
    bytes.remove_prefix(piece.size());
  }
  return absl::OkStatus();
}

absl::Status WritePart(LogStore& store, const SnapshotWrite& write, SnapshotSlot* slot) {
  if (write.offset == 0) CATAMARAN_RETURN_IF_ERROR(Begin(store, write.meta, slot));
  if (slot->meta != write.meta) {
    return MakeError(Reason::kVersionMismatch, "Another snapshot took its place; begin again.");
  }
  CATAMARAN_RETURN_IF_ERROR(Append(store, write.offset, write.data.view(), slot));
  if (!write.last) return absl::OkStatus();
  if (slot->bytes == write.meta.bytes && slot->crc32c == write.meta.crc32c) {
    return absl::OkStatus();
  }
  // The store compares, too, and drops what is wrong.
  absl::StatusOr<LogShape> log = store.FinishSnapshot(write.meta.last);
  CATAMARAN_CHECK(!log.ok(), "the store takes no damaged snapshot");
  if (ReasonOf(log.status()) == Reason::kCorruptBatch) slot->meta.reset();
  return log.status();
}

}  // namespace

void SnapshotIo::Start(const OpenedStore& opened) {
  slot_->meta = opened.unfinished_snapshot;
  slot_->bytes = opened.unfinished_bytes;
  slot_->crc32c = opened.unfinished_crc32c;
}

void SnapshotIo::Write(SnapshotWrite write, absl::AnyInvocable<void(bool good)> done) {
  store_->Submit(
      StoreWork::kWrite,
      [slot = slot_, write = std::move(write)](LogStore& store) {
        return WritePart(store, write, slot.get());
      },
      [done = std::move(done)](const absl::Status& status) mutable { done(status.ok()); });
}

// ---- taking ----

struct SnapshotIo::Taking {
  SnapshotMeta meta;
  SnapshotParts parts;
  size_t next = 0;
  uint64_t offset = 0;  // of parts[next]
  bool begun = false;
  absl::AnyInvocable<void(absl::StatusOr<SnapshotMeta>)> done;
};

void SnapshotIo::Store(SnapshotMeta meta, SnapshotParts parts,
                       absl::AnyInvocable<void(absl::StatusOr<SnapshotMeta>)> done) {
  auto taking = std::make_shared<Taking>();
  taking->meta = std::move(meta);
  taking->parts = std::move(parts);
  taking->done = std::move(done);
  StoreNext(std::move(taking));
}

// A job a part, so that writes of the log go between.
void SnapshotIo::StoreNext(std::shared_ptr<Taking> taking) {
  store_->Submit(
      StoreWork::kWrite,
      [slot = slot_, taking](LogStore& store) -> absl::Status {
        if (!taking->begun) {
          taking->meta.bytes = 0;
          taking->meta.crc32c = 0;
          for (const Buffer& part : taking->parts) {
            taking->meta.bytes += part.size();
            taking->meta.crc32c = ExtendCrc32c(taking->meta.crc32c, part.view());
          }
          CATAMARAN_RETURN_IF_ERROR(Begin(store, taking->meta, slot.get()));
          taking->begun = true;
          return absl::OkStatus();
        }
        const Buffer& part = taking->parts[taking->next];
        CATAMARAN_RETURN_IF_ERROR(Append(store, taking->offset, part.view(), slot.get()));
        taking->offset += part.size();
        ++taking->next;
        return absl::OkStatus();
      },
      [this, taking](absl::Status status) {
        if (!status.ok()) {
          taking->done(std::move(status));
        } else if (taking->next == taking->parts.size()) {
          taking->done(taking->meta);
        } else {
          StoreNext(taking);
        }
      });
}

// ---- reading ----

struct SnapshotIo::Reading {
  SnapshotMeta meta;
  uint64_t offset = 0;
  SnapshotParts parts;
  absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done;
};

void SnapshotIo::Read(LogPosition last, uint64_t offset, uint64_t length,
                      absl::AnyInvocable<void(absl::StatusOr<Buffer>)> done) {
  auto bytes = std::make_shared<std::string>();
  store_->Submit(
      StoreWork::kRead,
      [=](LogStore& store) -> absl::Status {
        while (bytes->size() < length) {
          CATAMARAN_ASSIGN_OR_RETURN(
              const Buffer part,
              store.ReadSnapshot(last, offset + bytes->size(), length - bytes->size()));
          if (part.empty()) {
            return MakeError(Reason::kVersionMismatch,
                             "The snapshot is shorter than it was said to be; begin again.");
          }
          bytes->append(part.view());
        }
        return absl::OkStatus();
      },
      [bytes, done = std::move(done)](absl::Status status) mutable {
        if (status.ok()) {
          done(Buffer::FromString(std::move(*bytes)));
        } else {
          done(std::move(status));
        }
      });
}

void SnapshotIo::ReadAll(SnapshotMeta meta,
                         absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done) {
  auto reading = std::make_shared<Reading>();
  reading->meta = std::move(meta);
  reading->done = std::move(done);
  if (reading->meta.bytes == 0) {
    reading->done(SnapshotParts());
    return;
  }
  ReadNext(std::move(reading));
}

void SnapshotIo::ReadNext(std::shared_ptr<Reading> reading) {
  const uint64_t rest = reading->meta.bytes - reading->offset;
  Read(reading->meta.last, reading->offset, std::min<uint64_t>(rest, kSnapshotChunkBytesMax),
       [this, reading](absl::StatusOr<Buffer> part) {
         if (!part.ok()) {
           reading->done(part.status());
           return;
         }
         reading->offset += part->size();
         reading->parts.push_back(*std::move(part));
         if (reading->offset < reading->meta.bytes) {
           ReadNext(reading);
         } else {
           reading->done(std::move(reading->parts));
         }
       });
}

}  // namespace catamaran::raft
