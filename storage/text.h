// Concatenation that takes std::string_view: Debian's abseil is built for C++14 and has a
// string_view of its own, which absl::StrCat wants.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace catamaran::storage {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

namespace text_internal {
inline absl::string_view Piece(std::string_view text) { return ToAbsl(text); }
inline absl::string_view Piece(const std::string& text) { return text; }
inline absl::string_view Piece(absl::string_view text) { return text; }
inline absl::string_view Piece(const char* text) { return text; }
template <class T>
const T& Piece(const T& value) {
  return value;
}
}  // namespace text_internal

template <class... Parts>
std::string Cat(const Parts&... parts) {
  return absl::StrCat(text_internal::Piece(parts)...);
}

}  // namespace catamaran::storage
