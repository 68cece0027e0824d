#include "tests/raft/sim/state_machine.h"

#include <algorithm>

#include "base/varint.h"

namespace catamaran::raft::sim {

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t z = a * 0x9e3779b97f4a7c15 + b + 0x7f4a7c159e3779b9;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t HashEntry(const Entry& entry) {
  uint64_t hash =
      Mix(static_cast<uint64_t>(entry.index.value()),
          static_cast<uint64_t>(entry.term.value()) * 4 + static_cast<uint64_t>(entry.kind));
  const std::string_view bytes = entry.payload.view();
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) hash = Mix(hash, LoadBigEndian<uint64_t>(&bytes[at]));
  for (; at < bytes.size(); ++at) hash = Mix(hash, static_cast<uint8_t>(bytes[at]));
  return hash;
}

std::string EncodeCommand(const Command& command, size_t padding) {
  std::string bytes;
  AppendBigEndian<uint64_t>(&bytes, command.op);
  AppendBigEndian<uint8_t>(&bytes, command.key);
  AppendBigEndian<uint8_t>(&bytes, command.compare ? 1 : 0);
  AppendBigEndian<uint64_t>(&bytes, command.expected);
  AppendBigEndian<uint64_t>(&bytes, command.value);
  bytes.append(padding, 'p');
  return bytes;
}

std::optional<Command> DecodeCommand(std::string_view bytes) {
  ByteReader reader(bytes);
  Command command;
  command.op = reader.ReadBigEndian<uint64_t>();
  command.key = reader.ReadBigEndian<uint8_t>();
  command.compare = reader.ReadBigEndian<uint8_t>() == 1;
  command.expected = reader.ReadBigEndian<uint64_t>();
  command.value = reader.ReadBigEndian<uint64_t>();
  if (!reader.ok() || command.key >= kKeys) return std::nullopt;
  return command;
}

bool State::Apply(const Entry& entry) {
  applied = entry.index;
  hash = Mix(hash, HashEntry(entry));
  if (entry.kind != EntryKind::kCommand) return false;
  const std::optional<Command> command = DecodeCommand(entry.payload.view());
  if (!command) return false;
  Cell& cell = cells[command->key];
  if (command->compare && cell.value != command->expected) return false;
  ++cell.version;
  cell.value = command->value;
  return true;
}

std::string EncodeState(const State& state, size_t bytes_min) {
  std::string bytes;
  AppendBigEndian<int64_t>(&bytes, state.applied.value());
  AppendBigEndian<uint64_t>(&bytes, state.hash);
  for (const Cell& cell : state.cells) {
    AppendBigEndian<uint64_t>(&bytes, cell.version);
    AppendBigEndian<uint64_t>(&bytes, cell.value);
  }
  bytes.resize(std::max(bytes.size(), bytes_min), 's');
  return bytes;
}

std::optional<State> DecodeState(std::string_view bytes) {
  ByteReader reader(bytes);
  State state;
  state.applied = LogIndex(reader.ReadBigEndian<int64_t>());
  state.hash = reader.ReadBigEndian<uint64_t>();
  for (Cell& cell : state.cells) {
    cell.version = reader.ReadBigEndian<uint64_t>();
    cell.value = reader.ReadBigEndian<uint64_t>();
  }
  if (!reader.ok()) return std::nullopt;
  return state;
}

}  // namespace catamaran::raft::sim
