// What the simulated groups replicate: a few registers with versions, changed by writes and
// compare-and-sets. Its hash covers everything that was ever applied, so that two states that were
// reached by different histories differ.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raft/core/types.h"

namespace catamaran::raft::sim {

inline constexpr size_t kKeys = 4;

struct Command {
  uint64_t op = 0;  // who asked; unique
  uint8_t key = 0;
  bool compare = false;
  uint64_t expected = 0;  // with compare: only if this is the value
  uint64_t value = 0;     // unique, never 0
};
std::string EncodeCommand(const Command& command, size_t padding);
std::optional<Command> DecodeCommand(std::string_view bytes);

struct Cell {
  uint64_t version = 0;  // how often it was changed
  uint64_t value = 0;
  bool operator==(const Cell&) const = default;
};

struct State {
  LogIndex applied;
  uint64_t hash = 0;
  std::array<Cell, kKeys> cells;
  bool operator==(const State&) const = default;

  // Applies the entry after `applied`. For a command: whether it changed its cell.
  bool Apply(const Entry& entry);
};
// As long as `bytes_min` at least, so that snapshots have many chunks.
std::string EncodeState(const State& state, size_t bytes_min);
std::optional<State> DecodeState(std::string_view bytes);

uint64_t Mix(uint64_t a, uint64_t b);
uint64_t HashEntry(const Entry& entry);

}  // namespace catamaran::raft::sim
