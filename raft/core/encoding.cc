// Each pair's grammar stands above it. "v" is a zigzag varint, "u8" a byte, x* a list preceded by
// its length as v.
#include "raft/core/encoding.h"

#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/varint.h"
#include "raft/core/config.h"
#include "raft/core/membership.h"

namespace catamaran::raft {
namespace {

class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  void Byte(uint8_t value) { out_->push_back(static_cast<char>(value)); }
  void Bool(bool value) { Byte(value ? 1 : 0); }
  void Number(int64_t value) { AppendVarint64(out_, value); }
  void Unsigned(uint64_t value) { Number(static_cast<int64_t>(value)); }
  void Bytes(std::string_view bytes) {
    Unsigned(bytes.size());
    out_->append(bytes);
  }
  void Uuid16(const Uuid& uuid) {
    for (uint8_t byte : uuid.bytes()) Byte(byte);
  }
  void Id(const ReplicaId& id) {
    Number(id.node.value());
    Uuid16(id.directory.uuid);
  }
  void Position(LogPosition position) {
    Number(position.term.value());
    Number(position.index.value());
  }

 private:
  std::string* out_;
};

// Reads what Writer wrote; the first thing that is wrong makes all further reads fail.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : start_(bytes.data()), reader_(bytes) {}

  bool ok() const { return reader_.ok(); }
  bool AtEnd() const { return reader_.ok() && reader_.remaining() == 0; }
  void Fail() { reader_.Fail(); }

  uint8_t Byte() { return reader_.ReadBigEndian<uint8_t>(); }
  bool Bool() {
    const uint8_t value = Byte();
    if (value > 1) Fail();
    return value == 1;
  }
  int64_t Within(int64_t least, int64_t most) {
    const int64_t value = reader_.ReadVarint64();
    if (value < least || value > most) {
      Fail();
      return least;
    }
    return value;
  }
  uint64_t Unsigned() { return static_cast<uint64_t>(reader_.ReadVarint64()); }
  // How many follow: no more than the limit, nor than the bytes that are left can hold.
  size_t Count(size_t most) {
    const auto count = static_cast<size_t>(Within(0, static_cast<int64_t>(most)));
    if (count > reader_.remaining()) {
      Fail();
      return 0;
    }
    return count;
  }
  std::string_view Bytes(size_t most) { return reader_.ReadBytes(Count(most)); }
  // As Bytes, with where it lies in the input.
  std::pair<size_t, size_t> Range(size_t most) {
    const size_t length = Count(most);
    const auto at = static_cast<size_t>(reader_.position() - start_);
    reader_.ReadBytes(length);
    return {at, length};
  }
  Uuid Uuid16() { return Uuid::FromBytes(reader_.ReadBytes(16)).value_or(Uuid()); }
  ReplicaId Id() {
    ReplicaId id;
    id.node = BrokerId(static_cast<int32_t>(Within(INT32_MIN, INT32_MAX)));
    id.directory.uuid = Uuid16();
    return id;
  }
  LogIndex Index() { return LogIndex(Within(0, kPositionMax)); }
  raft::Term Term() { return raft::Term(Within(0, kPositionMax)); }
  LogPosition Position() {
    LogPosition position;
    position.term = Term();
    position.index = Index();
    return position;
  }

 private:
  const char* start_;
  ByteReader reader_;
};

absl::Status Malformed(std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   "the bytes of a Raft " + std::string(what) +
                       " can't be read; they were damaged, or written by a newer version",
                   {{"what", std::string(what)}});
}

// ---- members ----
// member  = node v, directory 16 bytes, endpoint*      endpoint = bytes*
// members = member*

void WriteMembers(Writer* out, const std::vector<Member>& members) {
  out->Unsigned(members.size());
  for (const Member& member : members) {
    out->Id(member.id);
    out->Unsigned(member.endpoints.size());
    for (const std::string& endpoint : member.endpoints) out->Bytes(endpoint);
  }
}

std::vector<Member> ReadMembers(Reader* in, size_t most) {
  std::vector<Member> members;
  const size_t count = in->Count(most);
  for (size_t i = 0; i < count && in->ok(); ++i) {
    Member member;
    member.id = in->Id();
    const size_t endpoints = in->Count(kEndpointsMax);
    for (size_t e = 0; e < endpoints && in->ok(); ++e) {
      member.endpoints.emplace_back(in->Bytes(kEndpointBytesMax));
    }
    members.push_back(std::move(member));
  }
  return members;
}

// membership = voters members, outgoing voters members, learners members, learners next members

void WriteMembership(Writer* out, const Membership& membership) {
  WriteMembers(out, membership.voters);
  WriteMembers(out, membership.outgoing_voters);
  WriteMembers(out, membership.learners);
  WriteMembers(out, membership.learners_next);
}

Membership ReadMembership(Reader* in) {
  Membership membership;
  membership.voters = ReadMembers(in, kVotersMax);
  membership.outgoing_voters = ReadMembers(in, kVotersMax);
  membership.learners = ReadMembers(in, kLearnersMax);
  membership.learners_next = ReadMembers(in, kVotersMax);
  if (in->ok() && !Validate(membership).ok()) in->Fail();
  return membership;
}

// snapshot = position, membership, bytes v, crc32c v
// position = term v, index v

void WriteSnapshot(Writer* out, const SnapshotMeta& meta) {
  out->Position(meta.last);
  WriteMembership(out, meta.membership);
  out->Unsigned(meta.bytes);
  out->Unsigned(meta.crc32c);
}

SnapshotMeta ReadSnapshot(Reader* in) {
  SnapshotMeta meta;
  meta.last = in->Position();
  meta.membership = ReadMembership(in);
  meta.bytes = static_cast<uint64_t>(in->Within(0, kPositionMax));
  meta.crc32c = static_cast<uint32_t>(in->Within(0, UINT32_MAX));
  return meta;
}

EntryKind ReadKind(Reader* in) {
  const uint8_t kind = in->Byte();
  if (kind < static_cast<uint8_t>(EntryKind::kCommand) ||
      kind > static_cast<uint8_t>(EntryKind::kNoOp)) {
    in->Fail();
  }
  return static_cast<EntryKind>(kind);
}

// ---- message bodies ----

void Write(Writer* out, const PreVoteRequest& body) { out->Position(body.last); }
void Read(Reader* in, const Buffer&, PreVoteRequest* body) { body->last = in->Position(); }

void Write(Writer* out, const PreVoteReply& body) { out->Bool(body.granted); }
void Read(Reader* in, const Buffer&, PreVoteReply* body) { body->granted = in->Bool(); }

void Write(Writer* out, const VoteRequest& body) {
  out->Position(body.last);
  out->Bool(body.transfer);
}
void Read(Reader* in, const Buffer&, VoteRequest* body) {
  body->last = in->Position();
  body->transfer = in->Bool();
}

void Write(Writer* out, const VoteReply& body) { out->Bool(body.granted); }
void Read(Reader* in, const Buffer&, VoteReply* body) { body->granted = in->Bool(); }

// append = previous position, commit v, (term v, kind u8, payload bytes*)*; indexes follow
// previous.
void Write(Writer* out, const AppendRequest& body) {
  out->Position(body.previous);
  out->Number(body.commit.value());
  out->Unsigned(body.entries.size());
  for (const Entry& entry : body.entries) {
    out->Number(entry.term.value());
    out->Byte(static_cast<uint8_t>(entry.kind));
    out->Bytes(entry.payload.view());
  }
}
void Read(Reader* in, const Buffer& bytes, AppendRequest* body) {
  body->previous = in->Position();
  body->commit = in->Index();
  const size_t count = in->Count(kAppendEntriesMax);
  for (size_t i = 0; i < count && in->ok(); ++i) {
    Entry entry;
    entry.index = body->previous.index + static_cast<int64_t>(i) + 1;
    entry.term = in->Term();
    entry.kind = ReadKind(in);
    const auto [at, length] = in->Range(kEntryPayloadBytesMax);
    entry.payload = bytes.Sub(at, length);
    body->entries.push_back(std::move(entry));
  }
}

void Write(Writer* out, const AppendReply& body) {
  out->Bool(body.success);
  out->Number(body.match.value());
  out->Number(body.refused.value());
  out->Position(body.hint);
}
void Read(Reader* in, const Buffer&, AppendReply* body) {
  body->success = in->Bool();
  body->match = in->Index();
  body->refused = in->Index();
  body->hint = in->Position();
}

void Write(Writer* out, const Heartbeat& body) {
  out->Number(body.commit.value());
  out->Unsigned(body.round);
}
void Read(Reader* in, const Buffer&, Heartbeat* body) {
  body->commit = in->Index();
  body->round = in->Unsigned();
}

void Write(Writer* out, const HeartbeatReply& body) { out->Unsigned(body.round); }
void Read(Reader* in, const Buffer&, HeartbeatReply* body) { body->round = in->Unsigned(); }

void Write(Writer* out, const SnapshotChunk& body) {
  WriteSnapshot(out, body.meta);
  out->Unsigned(body.offset);
  out->Unsigned(body.sequence);
  out->Bytes(body.data.view());
}
void Read(Reader* in, const Buffer& bytes, SnapshotChunk* body) {
  body->meta = ReadSnapshot(in);
  body->offset = static_cast<uint64_t>(in->Within(0, kPositionMax));
  body->sequence = in->Unsigned();
  const auto [at, length] = in->Range(kChunkDataBytesMax);
  body->data = bytes.Sub(at, length);
  body->length = body->data.size();
}

void Write(Writer* out, const SnapshotReply& body) {
  out->Position(body.last);
  out->Byte(static_cast<uint8_t>(body.status));
  out->Unsigned(body.next_offset);
  out->Unsigned(body.sequence);
}
void Read(Reader* in, const Buffer&, SnapshotReply* body) {
  body->last = in->Position();
  const uint8_t status = in->Byte();
  if (status < static_cast<uint8_t>(SnapshotStatus::kContinue) ||
      status > static_cast<uint8_t>(SnapshotStatus::kDamaged)) {
    in->Fail();
  }
  body->status = static_cast<SnapshotStatus>(status);
  body->next_offset = static_cast<uint64_t>(in->Within(0, kPositionMax));
  body->sequence = in->Unsigned();
}

void Write(Writer*, const TimeoutNow&) {}
void Read(Reader*, const Buffer&, TimeoutNow*) {}

void Write(Writer* out, const ReadIndexRequest& body) {
  out->Unsigned(body.id);
  out->Unsigned(body.nonce);
}
void Read(Reader* in, const Buffer&, ReadIndexRequest* body) {
  body->id = in->Unsigned();
  body->nonce = in->Unsigned();
}

void Write(Writer* out, const ReadIndexReply& body) {
  out->Unsigned(body.id);
  out->Unsigned(body.nonce);
  out->Bool(body.granted);
  out->Number(body.index.value());
}
void Read(Reader* in, const Buffer&, ReadIndexReply* body) {
  body->id = in->Unsigned();
  body->nonce = in->Unsigned();
  body->granted = in->Bool();
  body->index = in->Index();
}

void Write(Writer* out, const NotMember& body) { out->Number(body.membership_index.value()); }
void Read(Reader* in, const Buffer&, NotMember* body) { body->membership_index = in->Index(); }

// Reads the alternative whose number is `wanted`; false when there's none.
template <size_t kNumber = 0>
bool ReadBody(Reader* in, const Buffer& bytes, size_t wanted, MessageBody* body) {
  if constexpr (kNumber == std::variant_size_v<MessageBody>) {
    return false;
  } else {
    if (wanted != kNumber) return ReadBody<kNumber + 1>(in, bytes, wanted, body);
    Read(in, bytes, &body->emplace<kNumber>());
    return true;
  }
}

}  // namespace

std::string EncodeMembership(const Membership& membership) {
  std::string bytes;
  Writer out(&bytes);
  out.Byte(kEncodingVersion);
  WriteMembership(&out, membership);
  return bytes;
}

absl::StatusOr<Membership> DecodeMembership(std::string_view bytes) {
  Reader in(bytes);
  if (in.Byte() != kEncodingVersion) return Malformed("membership");
  Membership membership = ReadMembership(&in);
  if (!in.AtEnd()) return Malformed("membership");
  return membership;
}

// hard state = version u8, term v, has vote u8, [vote: node v, directory 16 bytes]
std::string EncodeHardState(const HardState& state) {
  std::string bytes;
  Writer out(&bytes);
  out.Byte(kEncodingVersion);
  out.Number(state.term.value());
  out.Bool(state.vote.has_value());
  if (state.vote) out.Id(*state.vote);
  return bytes;
}

absl::StatusOr<HardState> DecodeHardState(std::string_view bytes) {
  Reader in(bytes);
  if (in.Byte() != kEncodingVersion) return Malformed("hard state");
  HardState state;
  state.term = in.Term();
  if (in.Bool()) state.vote = in.Id();
  if (!in.AtEnd()) return Malformed("hard state");
  return state;
}

std::string EncodeSnapshotMeta(const SnapshotMeta& meta) {
  std::string bytes;
  Writer out(&bytes);
  out.Byte(kEncodingVersion);
  WriteSnapshot(&out, meta);
  return bytes;
}

absl::StatusOr<SnapshotMeta> DecodeSnapshotMeta(std::string_view bytes) {
  Reader in(bytes);
  if (in.Byte() != kEncodingVersion) return Malformed("snapshot description");
  SnapshotMeta meta = ReadSnapshot(&in);
  if (!in.AtEnd()) return Malformed("snapshot description");
  return meta;
}

// entry = version u8, index v, term v, kind u8, payload bytes*
std::string EncodeEntry(const Entry& entry) {
  std::string bytes;
  bytes.reserve(entry.payload.size() + 32);
  Writer out(&bytes);
  out.Byte(kEncodingVersion);
  out.Number(entry.index.value());
  out.Number(entry.term.value());
  out.Byte(static_cast<uint8_t>(entry.kind));
  out.Bytes(entry.payload.view());
  return bytes;
}

absl::StatusOr<Entry> DecodeEntry(Buffer bytes) {
  Reader in(bytes.view());
  if (in.Byte() != kEncodingVersion) return Malformed("entry");
  Entry entry;
  entry.index = in.Index();
  entry.term = in.Term();
  entry.kind = ReadKind(&in);
  const auto [at, length] = in.Range(kEntryPayloadBytesMax);
  if (!in.AtEnd()) return Malformed("entry");
  entry.payload = bytes.Sub(at, length);
  return entry;
}

// message = version u8, cluster 16 bytes, from id, to id, term v, type u8 (from 1, the order of
// MessageBody), body
std::string EncodeMessage(const Message& message) {
  std::string bytes;
  Writer out(&bytes);
  out.Byte(kEncodingVersion);
  out.Uuid16(message.cluster.uuid);
  out.Id(message.from);
  out.Id(message.to);
  out.Number(message.term.value());
  out.Byte(static_cast<uint8_t>(message.body.index() + 1));
  std::visit([&](const auto& body) { Write(&out, body); }, message.body);
  return bytes;
}

absl::StatusOr<Message> DecodeMessage(Buffer bytes) {
  Reader in(bytes.view());
  if (in.Byte() != kEncodingVersion) return Malformed("message");
  Message message;
  message.cluster.uuid = in.Uuid16();
  message.from = in.Id();
  message.to = in.Id();
  message.term = in.Term();
  const size_t type = in.Byte();
  if (!in.ok() || type == 0) return Malformed("message");
  if (!ReadBody(&in, bytes, type - 1, &message.body) || !in.AtEnd()) return Malformed("message");
  return message;
}

}  // namespace catamaran::raft
