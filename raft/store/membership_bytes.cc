#include "raft/store/membership_bytes.h"

#include <utility>

#include "base/check.h"

namespace catamaran::raft {
namespace {

constexpr size_t kEndpointBytesMax = 1'024;
constexpr size_t kEndpointsMax = 255;
constexpr size_t kMemberBytesMin = 4 + 16 + 1;

void AppendMembers(const std::vector<Member>& members, std::string* out) {
  AppendBigEndian<uint32_t>(out, static_cast<uint32_t>(members.size()));
  for (const Member& member : members) {
    CATAMARAN_CHECK(member.endpoints.size() <= kEndpointsMax, "a member has few endpoints");
    AppendBigEndian<int32_t>(out, member.id.node.value());
    *out += member.id.directory.uuid.ToBytes();
    out->push_back(static_cast<char>(member.endpoints.size()));
    for (const std::string& endpoint : member.endpoints) {
      CATAMARAN_CHECK(endpoint.size() <= kEndpointBytesMax, "an endpoint is a short name");
      AppendBigEndian<uint16_t>(out, static_cast<uint16_t>(endpoint.size()));
      *out += endpoint;
    }
  }
}

std::vector<Member> ReadMembers(ByteReader* reader) {
  const auto count = reader->ReadBigEndian<uint32_t>();
  std::vector<Member> members;
  if (count > reader->remaining() / kMemberBytesMin) {
    reader->Fail();
    return members;
  }
  members.reserve(count);
  for (uint32_t i = 0; i < count && reader->ok(); ++i) {
    Member member;
    member.id.node = BrokerId(reader->ReadBigEndian<int32_t>());
    const std::optional<Uuid> directory = Uuid::FromBytes(reader->ReadBytes(16));
    if (directory.has_value()) member.id.directory = DirectoryId{*directory};
    const auto endpoints = reader->ReadBigEndian<uint8_t>();
    for (uint8_t at = 0; at < endpoints && reader->ok(); ++at) {
      const auto length = reader->ReadBigEndian<uint16_t>();
      if (length > kEndpointBytesMax) reader->Fail();
      member.endpoints.emplace_back(reader->ReadBytes(length));
    }
    if (!members.empty() && !(members.back().id < member.id)) reader->Fail();
    members.push_back(std::move(member));
  }
  return members;
}

}  // namespace

void AppendMembership(const Membership& membership, std::string* out) {
  AppendMembers(membership.voters, out);
  AppendMembers(membership.outgoing_voters, out);
  AppendMembers(membership.learners, out);
}

Membership ReadMembership(ByteReader* reader) {
  Membership membership;
  membership.voters = ReadMembers(reader);
  membership.outgoing_voters = ReadMembers(reader);
  membership.learners = ReadMembers(reader);
  return membership;
}

}  // namespace catamaran::raft
