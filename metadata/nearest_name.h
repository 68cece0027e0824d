// "Did you mean ...": the known name nearest to one that isn't known.
#pragma once

#include <span>
#include <string_view>

namespace catamaran::metadata {

// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
size_t EditDistance(std::string_view a, std::string_view b);

// The candidate with the smallest distance, the first of equals; empty when `candidates` is.
std::string_view NearestName(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace catamaran::metadata
