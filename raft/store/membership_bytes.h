// The one place where the store turns a Membership into bytes, inside snapshot metadata.
#pragma once

#include <string>

#include "base/varint.h"
#include "raft/core/types.h"

namespace catamaran::raft {

void AppendMembership(const Membership& membership, std::string* out);
// Fails the reader on malformed bytes: counts that the bytes can't hold, endpoints that are too
// long, members that aren't sorted or repeat.
Membership ReadMembership(ByteReader* reader);

}  // namespace catamaran::raft
