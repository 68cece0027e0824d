// Each frame's grammar stands above it. "v" is a zigzag varint, "u8" a byte, x* a list preceded by
// its length as v; uuid is 16 bytes; id = node v, directory uuid.
//
//   frame = type u8 (from 1, the order of Frame), body
#include "raft/driver/framing.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/varint.h"
#include "raft/core/config.h"
#include "raft/core/encoding.h"

namespace catamaran::raft {
namespace {

class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  void Byte(uint8_t value) { out_->push_back(static_cast<char>(value)); }
  void Number(int64_t value) { AppendVarint64(out_, value); }
  void Unsigned(uint64_t value) { Number(static_cast<int64_t>(value)); }
  void Bytes(std::string_view bytes) {
    Unsigned(bytes.size());
    out_->append(bytes);
  }
  void Raw(std::string_view bytes) { out_->append(bytes); }
  void Id(const ReplicaId& id) {
    Number(id.node.value());
    out_->append(id.directory.uuid.ToBytes());
  }
  void Cluster(const ClusterId& id) { out_->append(id.uuid.ToBytes()); }
  void Endpoints(const std::vector<std::string>& endpoints) {
    Unsigned(endpoints.size());
    for (const std::string& endpoint : endpoints) Bytes(endpoint);
  }

 private:
  std::string* out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : reader_(bytes) {}

  bool ok() const { return reader_.ok(); }
  bool AtEnd() const { return reader_.ok() && reader_.remaining() == 0; }
  void Fail() { reader_.Fail(); }
  size_t remaining() const { return reader_.remaining(); }

  uint8_t Byte() { return reader_.ReadBigEndian<uint8_t>(); }
  int64_t Within(int64_t least, int64_t most) {
    const int64_t value = reader_.ReadVarint64();
    if (value >= least && value <= most) return value;
    Fail();
    return least;
  }
  uint64_t Unsigned() { return static_cast<uint64_t>(reader_.ReadVarint64()); }
  // How many follow: no more than the limit, nor than the bytes that are left can hold.
  size_t Count(size_t most) {
    const auto count = static_cast<size_t>(Within(0, static_cast<int64_t>(most)));
    if (count <= reader_.remaining()) return count;
    Fail();
    return 0;
  }
  std::string_view Bytes(size_t most) { return reader_.ReadBytes(Count(most)); }
  ReplicaId Id() {
    ReplicaId id;
    id.node = BrokerId(static_cast<int32_t>(Within(INT32_MIN, INT32_MAX)));
    id.directory.uuid = Uuid16();
    return id;
  }
  ClusterId Cluster() { return ClusterId{Uuid16()}; }
  std::vector<std::string> Endpoints() {
    std::vector<std::string> endpoints;
    const size_t count = Count(kEndpointsMax);
    for (size_t i = 0; i < count && ok(); ++i) endpoints.emplace_back(Bytes(kEndpointBytesMax));
    return endpoints;
  }

 private:
  Uuid Uuid16() { return Uuid::FromBytes(reader_.ReadBytes(16)).value_or(Uuid()); }
  ByteReader reader_;
};

constexpr size_t kMembershipBytesMax =
    (3 * kVotersMax + kLearnersMax) * (64 + kEndpointsMax * (kEndpointBytesMax + 4));

// membership = bytes* (raft/core/encoding.h)
void WriteMembership(Writer* out, const Membership& membership) {
  out->Bytes(EncodeMembership(membership));
}
Membership ReadMembership(Reader* in) {
  absl::StatusOr<Membership> membership = DecodeMembership(in->Bytes(kMembershipBytesMax));
  if (membership.ok()) return *std::move(membership);
  in->Fail();
  return {};
}

// hello, welcome = version v, lane u8, cluster uuid, from id, to id, start counter v, run v,
//                  endpoint*
// The version comes first in every version of the protocol.
void WriteGreeting(Writer* out, const Greeting& greeting) {
  out->Unsigned(greeting.version);
  out->Byte(static_cast<uint8_t>(greeting.lane));
  out->Cluster(greeting.cluster);
  out->Id(greeting.from);
  out->Id(greeting.to);
  out->Unsigned(greeting.start_counter);
  out->Unsigned(greeting.run);
  out->Endpoints(greeting.endpoints);
}
// False: of another version, of which no more is known.
bool ReadGreeting(Reader* in, Greeting* greeting) {
  greeting->version = static_cast<uint32_t>(in->Within(0, UINT32_MAX));
  if (in->ok() && greeting->version != kProtocolVersion) return false;
  const uint8_t lane = in->Byte();
  if (lane < static_cast<uint8_t>(Lane::kControl) ||
      lane > static_cast<uint8_t>(Lane::kDiscovery)) {
    in->Fail();
  }
  greeting->lane = static_cast<Lane>(lane);
  greeting->cluster = in->Cluster();
  greeting->from = in->Id();
  greeting->to = in->Id();
  greeting->start_counter = in->Unsigned();
  greeting->run = in->Unsigned();
  greeting->endpoints = in->Endpoints();
  return true;
}

void Write(Writer* out, const Hello& body) { WriteGreeting(out, body.greeting); }
bool Read(Reader* in, const Buffer&, Hello* body) { return ReadGreeting(in, &body->greeting); }
void Write(Writer* out, const Welcome& body) { WriteGreeting(out, body.greeting); }
bool Read(Reader* in, const Buffer&, Welcome* body) { return ReadGreeting(in, &body->greeting); }

// refusal = reason u8, cluster uuid, from id, start counter seen v, text bytes*
void Write(Writer* out, const Refusal& body) {
  out->Byte(static_cast<uint8_t>(body.reason));
  out->Cluster(body.cluster);
  out->Id(body.from);
  out->Unsigned(body.start_counter_seen);
  out->Bytes(std::string_view(body.text).substr(0, kRefusalTextBytesMax));
}
bool Read(Reader* in, const Buffer&, Refusal* body) {
  const uint8_t reason = in->Byte();
  if (reason < static_cast<uint8_t>(RefusalReason::kUnsupportedVersion) ||
      reason > static_cast<uint8_t>(RefusalReason::kTwin)) {
    in->Fail();
  }
  body->reason = static_cast<RefusalReason>(reason);
  body->cluster = in->Cluster();
  body->from = in->Id();
  body->start_counter_seen = in->Unsigned();
  body->text = in->Bytes(kRefusalTextBytesMax);
  return true;
}

// raft = the rest
void Write(Writer* out, const RaftFrame& body) { out->Raw(body.message.view()); }
bool Read(Reader*, const Buffer& bytes, RaftFrame* body) {
  body->message = bytes.Sub(1);
  return false;  // the reader isn't asked how far it came
}

// ping, pong = number v
void Write(Writer* out, const Ping& body) { out->Unsigned(body.number); }
bool Read(Reader* in, const Buffer&, Ping* body) {
  body->number = in->Unsigned();
  return true;
}
void Write(Writer* out, const Pong& body) { out->Unsigned(body.number); }
bool Read(Reader* in, const Buffer&, Pong* body) {
  body->number = in->Unsigned();
  return true;
}

void Write(Writer*, const Ask&) {}
bool Read(Reader*, const Buffer&, Ask*) { return true; }

// report = state u8, cluster uuid, founder v*, membership, has leader u8, [leader id], hint*
// hint   = id, start counter v, endpoint*
void Write(Writer* out, const Report& body) {
  out->Byte(static_cast<uint8_t>(body.state));
  out->Cluster(body.cluster);
  out->Unsigned(body.founders.size());
  for (BrokerId founder : body.founders) out->Number(founder.value());
  WriteMembership(out, body.membership);
  out->Byte(body.leader ? 1 : 0);
  if (body.leader) out->Id(*body.leader);
  out->Unsigned(body.hints.size());
  for (const PeerHint& hint : body.hints) {
    out->Id(hint.id);
    out->Unsigned(hint.start_counter);
    out->Endpoints(hint.endpoints);
  }
}
bool Read(Reader* in, const Buffer&, Report* body) {
  const uint8_t state = in->Byte();
  if (state < static_cast<uint8_t>(FoundingState::kFresh) ||
      state > static_cast<uint8_t>(FoundingState::kStarted)) {
    in->Fail();
  }
  body->state = static_cast<FoundingState>(state);
  body->cluster = in->Cluster();
  const size_t founders = in->Count(kFoundersMax);
  for (size_t i = 0; i < founders && in->ok(); ++i) {
    body->founders.emplace_back(static_cast<int32_t>(in->Within(INT32_MIN, INT32_MAX)));
  }
  body->membership = ReadMembership(in);
  const uint8_t has_leader = in->Byte();
  if (has_leader > 1) in->Fail();
  if (has_leader == 1) body->leader = in->Id();
  const size_t hints = in->Count(kHintsMax);
  for (size_t i = 0; i < hints && in->ok(); ++i) {
    PeerHint hint;
    hint.id = in->Id();
    hint.start_counter = in->Unsigned();
    hint.endpoints = in->Endpoints();
    body->hints.push_back(std::move(hint));
  }
  return true;
}

// pledge = cluster uuid, membership
void Write(Writer* out, const Pledge& body) {
  out->Cluster(body.cluster);
  WriteMembership(out, body.membership);
}
bool Read(Reader* in, const Buffer&, Pledge* body) {
  body->cluster = in->Cluster();
  body->membership = ReadMembership(in);
  return true;
}

// join = cluster uuid, member id, endpoint*, hops u8
void Write(Writer* out, const Join& body) {
  out->Cluster(body.cluster);
  out->Id(body.member.id);
  out->Endpoints(body.member.endpoints);
  out->Byte(body.hops);
}
bool Read(Reader* in, const Buffer&, Join* body) {
  body->cluster = in->Cluster();
  body->member.id = in->Id();
  body->member.endpoints = in->Endpoints();
  body->hops = in->Byte();
  return true;
}

absl::Status Malformed() {
  return MakeError(Reason::kInvalidArgument,
                   "A peer's frame can't be read; is something else than a node of this cluster "
                   "connected, or one of a newer version?");
}

// Reads the alternative whose number is `wanted`.
template <size_t kNumber = 0>
absl::StatusOr<Frame> ReadFrame(const Buffer& bytes, size_t wanted) {
  if constexpr (kNumber == std::variant_size_v<Frame>) {
    return Malformed();
  } else {
    if (wanted != kNumber) return ReadFrame<kNumber + 1>(bytes, wanted);
    Reader in(bytes.view().substr(1));
    std::variant_alternative_t<kNumber, Frame> body;
    const bool whole = Read(&in, bytes, &body);
    if (whole ? !in.AtEnd() : !in.ok()) return Malformed();
    return Frame(std::move(body));
  }
}

}  // namespace

const char* RefusalName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kUnsupportedVersion:
      return "unsupported version";
    case RefusalReason::kWrongCluster:
      return "wrong cluster";
    case RefusalReason::kWrongAddressee:
      return "wrong addressee";
    case RefusalReason::kWrongSender:
      return "wrong sender";
    case RefusalReason::kOldStart:
      return "old start";
    case RefusalReason::kMalformed:
      return "malformed";
    case RefusalReason::kNotReady:
      return "not ready";
    case RefusalReason::kTwin:
      return "twin";
  }
  return "?";
}

Buffer EncodeFrame(const Frame& frame) {
  std::string bytes;
  if (const auto* raft = std::get_if<RaftFrame>(&frame)) bytes.reserve(raft->message.size() + 1);
  bytes.push_back(static_cast<char>(frame.index() + 1));
  Writer out(&bytes);
  std::visit([&](const auto& body) { Write(&out, body); }, frame);
  return Buffer::FromString(std::move(bytes));
}

absl::StatusOr<Frame> DecodeFrame(const Buffer& bytes) {
  if (bytes.empty()) return Malformed();
  const auto type = static_cast<uint8_t>(bytes.view()[0]);
  if (type == 0) return Malformed();
  return ReadFrame(bytes, type - size_t{1});
}

}  // namespace catamaran::raft
